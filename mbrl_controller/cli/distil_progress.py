# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Progress of a distillation on stderr."""

from __future__ import annotations

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mbrl_controller.cli.console import error_console
from mbrl_controller.cli.progress import Rate
from mbrl_controller.training.callbacks import DistilCallback


class DistilDisplay(DistilCallback):
    """Progress on stderr while it is entered."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=error_console,
        )
        self._files = self._progress.add_task("episodes", visible=False)
        self._states = self._progress.add_task("states", visible=False)

    def __enter__(self) -> DistilDisplay:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_stage(self, text: str) -> None:
        """See DistilCallback."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_read_start(self, total: int) -> None:
        """See DistilCallback."""
        self._progress.update(self._files, total=total, visible=True)

    def on_file_read(self, path: Path) -> None:
        """See DistilCallback."""
        self._progress.advance(self._files)

    def on_label_start(self, number: int, states: int) -> None:
        """See DistilCallback."""
        self._progress.reset(self._states, description=f"round {number}, states", total=states, visible=True)

    def on_labelled(self, states: int) -> None:
        """See DistilCallback."""
        self._progress.update(self._states, completed=states)
