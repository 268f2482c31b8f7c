# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a learning run tells while it goes on; a command line shows it, tests count it."""

from __future__ import annotations

from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.log import Row
from mbrl_controller.training.retrain import Listener


class LearnListener(Listener):
    """Told what is going on, besides what retrain tells."""

    def run(self, plan: LearnPlan, rows: list[Row]) -> None:
        """The run begins, or goes on after `rows`."""

    def step(self, name: str, number: int, total: int) -> None:
        """A step of round `number` begins, with `total` episodes to run (0: a training)."""

    def episode(self) -> None:
        """An episode of it ended."""

    def row(self, row: Row, left_s: float | None) -> None:
        """A step is finished; `left_s`: seconds that the rest of the run may take, None where nothing tells yet."""

    def note(self, text: str) -> None:
        """Something a person should know once."""
