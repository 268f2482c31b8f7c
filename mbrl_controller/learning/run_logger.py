# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The growing learning curve (PNG) and TensorBoard files of a run, besides its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mbrl_controller.base.extras import how_to_install
from mbrl_controller.dynamics.tensorboard import EventWriter
from mbrl_controller.learning import plots
from mbrl_controller.learning.log import Row, StepKind
from mbrl_controller.learning.shown_figures import shown_figures
from mbrl_controller.tasks.metrics import Metric

ABOUT_ROW = {"round", "env_steps", "wall_s", "total_s", "episodes"}


class RunLogger:
    """Updated with each row; calls `note` once if TensorBoard is missing."""

    def __init__(
        self, folder: Path, title: str, rows: list[Row], specs: Sequence[Metric], note: Callable[[str], None]
    ) -> None:
        self._plot, self._title, self._specs = folder / plots.PLOT_FILE, title, specs
        self._events: EventWriter | None = None
        try:
            self._events = EventWriter(folder / "tensorboard")
        except ModuleNotFoundError:
            note(f"no TensorBoard files: {how_to_install('train')}")
        for row in rows:
            self._add(row)

    def add(self, rows: list[Row]) -> None:
        """Take the last of `rows`, which is new."""
        self._add(rows[-1])
        if rows[-1].step is StepKind.EVALUATE:
            plots.draw(self._plot, rows, shown_figures(self._specs, rows), self._title)

    def close(self) -> None:
        """Close the files."""
        if self._events is not None:
            self._events.close()

    def _add(self, row: Row) -> None:
        if self._events is not None:
            self._events.add(scalars(row), row.env_steps)


def scalars(row: Row) -> dict[str, float]:
    """A row's metrics by TensorBoard's name, `<step>/<metric>`."""
    values = row.model_dump(exclude=ABOUT_ROW, exclude_none=True)
    found = {f"{row.step}/{n}": float(v) for n, v in values.items() if isinstance(v, int | float)}
    return found | {"time/minutes": row.total_s / 60, "time/round": float(row.round)}
