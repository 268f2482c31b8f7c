# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the cells of a grid say: means with intervals, paired differences from the first arm, and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mbrl_controller.learning.grid_plan import Expectation
from mbrl_controller.rollouts.statistics import bootstrap, student, wilson
from mbrl_controller.tasks.spaces import Array

Interval = tuple[float, float]
Verdict = Literal["", "holds", "does not", "cannot be told"]
# What the episodes of an arm are worth, by the seed of its run: rows of figures by name.
Runs = Mapping[int, Sequence[Mapping[str, float]]]


@dataclass(frozen=True)
class Estimate:
    """A mean over runs and episodes, with what is known of its accuracy; NaN where it cannot be told.

    `ci95`: of several runs Student's interval over them, so it says what another seed may give. Of one run, over its
    episodes: Wilson's of a share, else a bootstrap. `episodes_ci95` is a bootstrap over the episodes, the same of all
    runs, and says only what other episodes of these runs may give.
    """

    mean: float
    ci95: Interval
    episodes_ci95: Interval
    runs: int
    episodes: int  # of each run


def estimate(runs: Runs, figure: str) -> Estimate | None:
    """A figure of an arm; None where no episode has it."""
    table = _table(runs, figure)
    return None if table is None else _of(table, share=bool(np.isin(table, (0.0, 1.0)).all()))


def difference(runs: Runs, first: Runs, figure: str) -> Estimate | None:
    """How much more of a figure an arm has than the first: of the same seeds and episodes, one by one."""
    mine, other = _table(runs, figure), _table(first, figure)
    if mine is None or other is None or mine.shape != other.shape:
        return None
    return _of(mine - other, share=False)


def verdict(found: Estimate | None, expect: Expectation, better: int, margin: float = 0.0) -> Verdict:
    """Whether the difference from the first arm is as expected.

    Better (or worse) holds where the whole interval is on that side of nought, and does not where the whole interval
    says that the arm is not better (worse) by more than the margin. Alike holds where the whole interval is within the
    margin, and does not where it is outside. Not worse holds where it is above minus the margin.

    Args:
        found: the difference; None: it is not known.
        expect: of it; empty: nothing, and there is no verdict.
        better: 1 where more of the figure is better, -1 where less is.
        margin: differences up to this do not matter.
    """
    if not expect:
        return ""
    if found is None or not np.isfinite(found.ci95).all():
        return "cannot be told"
    low, high = sorted(better * bound for bound in found.ci95)
    if expect == "worse":
        low, high = -high, -low
    if expect in ("better", "worse"):
        return _decided(low > 0, high <= 0 or high < margin)
    if expect == "not_worse":
        return _decided(low >= -margin, high < -margin)
    return _decided(-margin <= low and high <= margin, high < -margin or low > margin)


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Of a claim, from those of its arms: it holds if all do."""
    asked = [v for v in verdicts if v]
    if not asked:
        return ""
    return _decided(all(v == "holds" for v in asked), any(v == "does not" for v in asked))


def _decided(holds: bool, fails: bool) -> Verdict:
    return "holds" if holds else "does not" if fails else "cannot be told"


def _table(runs: Runs, figure: str) -> Array | None:
    """Values [runs, episodes], both in the order of their seeds; None unless each episode has one."""
    rows = [[episode.get(figure, np.nan) for episode in runs[seed]] for seed in sorted(runs)]
    if not rows or len({len(row) for row in rows}) != 1:
        return None
    table = np.array(rows, dtype=float)
    return table if table.size and np.isfinite(table).all() else None


def _of(table: Array, share: bool) -> Estimate:
    runs, episodes = table.shape
    over_episodes = bootstrap(table.mean(0), np.mean)
    interval = over_episodes
    if runs > 1:
        interval = student(table.mean(1))
    elif share:
        interval = wilson(int(table.sum()), episodes)
    return Estimate(float(table.mean()), interval, over_episodes, runs, episodes)
