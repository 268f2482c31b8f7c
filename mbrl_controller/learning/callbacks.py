# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a learning run reports while it runs; a command line shows it, tests count it."""

from __future__ import annotations

from pathlib import Path

from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.log import Row
from mbrl_controller.training.callbacks import DistilCallback, RetrainCallback


class LearnCallback(RetrainCallback):
    """Override what you want to hear of; it also hears what a retrain reports."""

    def on_run_start(self, plan: LearnPlan, rows: list[Row]) -> None:
        """The run begins, or resumes after `rows`."""

    def on_step_start(self, name: str, number: int, episodes: int) -> None:
        """Step `name` of round `number` begins; it will run this number of episodes (0: a training)."""

    def on_episode_end(self) -> None:
        """One of its episodes ended."""

    def on_step_end(self, row: Row, left_s: float | None) -> None:
        """A step has finished. The rest of the run may take `left_s` seconds; None: not known yet."""

    def on_note(self, text: str) -> None:
        """A person should read this once."""


class Distilling(DistilCallback):
    """Tells a LearnCallback what a distillation reports."""

    def __init__(self, callback: LearnCallback) -> None:
        self._callback = callback

    def on_stage(self, text: str) -> None:
        """See DistilCallback."""
        self._callback.on_note(text)

    def on_read_start(self, total: int) -> None:
        """See DistilCallback."""
        self._callback.on_read_start(total)

    def on_file_read(self, path: Path) -> None:
        """See DistilCallback."""
        self._callback.on_file_read(path)
