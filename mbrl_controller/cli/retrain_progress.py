# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a person sees of a retrain: a bar for the files, one for the epochs, and how it ended."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from mbrl_controller.base.console import console, error_console
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.training_state import EpochReport
from mbrl_controller.training.callbacks import RetrainCallback
from mbrl_controller.training.retrain import RetrainResult


class Rate(ProgressColumn):
    """Files or epochs a second."""

    def render(self, task: Task) -> Text:
        """See ProgressColumn."""
        return Text("" if task.speed is None else f"{task.speed:.3g}/s")


class Display(RetrainCallback):
    """Progress on stderr while it is entered."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=error_console)
        self._files = self._progress.add_task("episodes", visible=False)
        self._epochs = self._progress.add_task("epochs", visible=False)
        self._stage = ""

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_read_start(self, total: int) -> None:
        """See RetrainCallback."""
        self._progress.update(self._files, total=total, visible=True)

    def on_file_read(self, path: Path) -> None:
        """See RetrainCallback."""
        self._progress.advance(self._files)

    def on_stage(self, text: str) -> None:
        """See RetrainCallback."""
        self._progress.console.print(text, markup=False, highlight=False)

    def on_epoch_end(self, report: EpochReport, config: TrainConfig) -> None:
        """See RetrainCallback."""
        total = config.max_epochs if report.stage == "one-step" else config.horizon_epochs
        if report.stage != self._stage:  # the next stage's epochs have a pace of their own
            self._stage = report.stage
            self._progress.reset(self._epochs)
        text = f"{report.stage}, loss {sum(report.best_loss) / len(report.best_loss):.3g}"
        self._progress.update(self._epochs, description=text, completed=report.epoch, total=total, visible=True)


@contextmanager
def stop_flag() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM, so that the run ends at a checkpoint; the second Ctrl-C interrupts."""
    flag = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_result(result: RetrainResult) -> None:
    """Print the errors beside those of the version before, and the verdict."""
    if result.metrics:
        table = Table("held-out figure", "new", "parent", box=None)
        for name, value in result.metrics.items():
            before = result.baseline.get(name, math.nan)
            table.add_row(name, f"{value:.4g}", "" if math.isnan(before) else f"{before:.4g}")
        console.print(table)
    name = f"{result.version.task} {result.version.name} " if result.version else ""
    console.print(f"{name}{result.status}: {result.reason}", markup=False, soft_wrap=True)
