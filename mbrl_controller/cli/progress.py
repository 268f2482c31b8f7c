# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Progress of training and learning runs on stderr, and stopping them at a checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
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
from rich.text import Text

from mbrl_controller.cli.console import error_console
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.training_state import EpochReport
from mbrl_controller.learning.callbacks import LearnCallback
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.log import Row, StepKind
from mbrl_controller.learning.shown_figures import metrics_of, shown_figures
from mbrl_controller.tasks.metrics import Metric
from mbrl_controller.training.callbacks import RetrainCallback


@contextmanager
def stop_flag() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM, so that the run ends at a checkpoint; the second one interrupts."""
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


class Rate(ProgressColumn):
    """Files or epochs a second."""

    def render(self, task: Task) -> Text:
        """See ProgressColumn."""
        return Text("" if task.speed is None else f"{task.speed:.3g}/s")


class RetrainDisplay(RetrainCallback):
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

    def __enter__(self) -> RetrainDisplay:
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


class LearnDisplay(LearnCallback):
    """Progress on stderr while it is entered; lines of finished steps stay."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._progress = Progress(*columns, console=error_console)
        self._whole = self._progress.add_task("run", left="", visible=False)
        self._step = self._progress.add_task("", left="", visible=False)
        self._name, self._unit = "", "rounds"
        self._metrics: Sequence[Metric] = ()

    def __enter__(self) -> LearnDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_run_start(self, plan: LearnPlan, rows: list[Row]) -> None:
        """See LearnCallback."""
        self._progress.start()
        self._unit = "steps" if plan.env_steps else "rounds"
        self._progress.update(self._whole, description=self._unit, total=plan.env_steps or plan.rounds, visible=True)
        self._metrics = metrics_of(plan.contract)
        for row in rows:
            self._show(row)

    def on_step_start(self, name: str, number: int, episodes: int) -> None:
        """See LearnCallback."""
        self._name = f"round {number}: {name}" if number else name
        self._progress.reset(self._step, description=self._name, total=episodes or None, visible=True, left="")

    def on_episode_end(self) -> None:
        """See LearnCallback."""
        self._progress.advance(self._step)

    def on_step_end(self, row: Row, left_s: float | None) -> None:
        """See LearnCallback."""
        self._show(row)
        left = "" if left_s is None else f"about {duration(left_s)} left"
        self._progress.update(self._whole, left=left)
        self._progress.update(self._step, visible=False)

    def on_note(self, text: str) -> None:
        """See LearnCallback."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_read_start(self, total: int) -> None:
        """See RetrainCallback."""
        self._progress.reset(self._step, description=f"{self._name}, reading episodes", total=total, visible=True)

    def on_file_read(self, path: Path) -> None:
        """See RetrainCallback."""
        self._progress.advance(self._step)

    def on_epoch_end(self, report: EpochReport, config: TrainConfig) -> None:
        """See RetrainCallback."""
        total = config.max_epochs if report.stage == "one-step" else config.horizon_epochs
        loss = sum(report.best_loss) / len(report.best_loss)
        text = f"{self._name}, {report.stage}, loss {loss:.3g}"
        self._progress.update(self._step, description=text, completed=report.epoch, total=total)

    def _show(self, row: Row) -> None:
        self._progress.console.print(line(row, self._metrics), markup=False, highlight=False, soft_wrap=True)
        self._progress.update(self._whole, completed=row.env_steps if self._unit == "steps" else _rounds_done(row))


def line(row: Row, metrics: Sequence[Metric] = ()) -> str:
    """A finished step in one line, with the figures of the task's `metrics`."""
    parts = [f"{row.round:3d} {row.step:8s}", f"{row.env_steps:7,d} steps", f"{row.robot_minutes:6.1f} min"]
    known = row.figures()
    parts += [f"{f.label} {f.text(known[f.key])}" for f in shown_figures(metrics, [row]) if f.key in known]
    errors = (("one step", row.one_step_nrmse), ("horizon", row.horizon_nrmse))
    parts += [f"{name} {100 * value:.0f}%" for name, value in errors if value is not None]
    if row.dropped:
        parts.append(f"{row.dropped} dropped")
    if row.accepted is False:
        parts.append("not accepted")
    return "  ".join([*parts, row.version, f"({duration(row.wall_s)}, {duration(row.total_s)} in all)"])


def duration(seconds: float) -> str:
    """`seconds` as 45 s, 12:05 or 1:02:03."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.lstrip("0")


def _rounds_done(row: Row) -> int:
    return row.round if row.step is StepKind.EVALUATE else max(row.round - (row.step is not StepKind.COLLECT), 0)
