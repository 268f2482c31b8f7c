# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The figures of a run that people see in its progress, its curve and its table: the task says which of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.learning.log import Row
from mbrl_controller.tasks.metrics import SHARED, Metric


@dataclass(frozen=True)
class ShownFigure:
    """A figure of a log row, by the row's key."""

    key: str
    label: str
    share: bool = False  # of episodes, 0 to 1; shown in percent
    unit: str = ""
    decimals: int = 0

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{100 * value:.0f}%" if self.share else f"{value:.{self.decimals}f} {self.unit}".rstrip()


def metrics_of(contract: str) -> tuple[Metric, ...]:
    """The metrics of the task that a contract's text names; none where the task is not installed any more."""
    try:
        return parse_contract(contract, "").task.metric_specs
    except MbrlError:
        return ()


def shown_figures(specs: Sequence[Metric], rows: Sequence[Row] = ()) -> list[ShownFigure]:
    """The shares, then the medians of metrics that are drawn, then the return.

    What `rows` have beside all that `specs` declare is shown under its key, so that nothing is lost where the task is
    of another version or not installed.
    """
    shares = [ShownFigure("kept_rate", "kept", share=True)]
    medians = []
    drawn = [metric for metric in specs if metric.drawn]
    alone = sum(bool(metric.levels) for metric in drawn) == 1  # then a level needs no name
    for metric in drawn:
        medians.append(ShownFigure(metric.median_key, metric.label, unit=metric.unit, decimals=metric.decimals))
        for level in metric.levels:
            label = metric.level_text(level) if alone else f"{metric.label} {metric.level_text(level)}"
            shares.append(ShownFigure(metric.level_key(level), label, share=True))
    shares.append(ShownFigure("goal_rate", "goals", share=True))
    declared = {"episodes", *SHARED, *(key for metric in specs for key in metric.figure_keys())}
    for key in dict.fromkeys(key for row in rows for key in row.figures() if key not in declared):
        share = key.startswith("success_")
        (shares if share else medians).append(ShownFigure(key, key.replace("_", " "), share=share, decimals=3))
    return [*shares, *medians, ShownFigure("return_mean", "return")]
