# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a run shows of itself while it goes on, besides its log: a growing PNG, and TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mbrl_controller.base.extras import how_to_install
from mbrl_controller.dynamics.tensorboard import EventWriter
from mbrl_controller.learning import plots as curve
from mbrl_controller.learning.log import Row

ABOUT_ROW = {"round", "points", "wall_s", "total_s", "episodes"}


class Live:
    """Kept up to date with each row; `note` is told once where TensorBoard is missing."""

    def __init__(self, folder: Path, title: str, rows: list[Row], note: Callable[[str], None]) -> None:
        self._plot, self._title = folder / curve.PLOT_FILE, title
        self._events: EventWriter | None = None
        try:
            self._events = EventWriter(folder / "tensorboard")
        except ModuleNotFoundError:
            note(f"no TensorBoard files: {how_to_install('train')}")
        for row in rows:
            self._add(row)

    def row(self, rows: list[Row]) -> None:
        """The last of `rows` is new."""
        self._add(rows[-1])
        if rows[-1].step == "evaluate":
            curve.draw(self._plot, rows, self._title)

    def close(self) -> None:
        """The run ends."""
        if self._events is not None:
            self._events.close()

    def _add(self, row: Row) -> None:
        if self._events is not None:
            self._events.add(scalars(row), row.points)


def scalars(row: Row) -> dict[str, float]:
    """A row's figures by TensorBoard's name, `<step>/<figure>`."""
    values = row.model_dump(exclude=ABOUT_ROW, exclude_none=True)
    found = {f"{row.step}/{n}": float(v) for n, v in values.items() if isinstance(v, int | float)}
    return found | {"time/minutes": row.total_s / 60, "time/round": float(row.round)}
