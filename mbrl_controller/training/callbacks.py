# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a retrain and a distillation report while they run; a command line shows it, tests count it."""

from __future__ import annotations

from pathlib import Path

from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.training_state import EpochReport


class RetrainCallback:
    """Override what you want to hear of."""

    def on_stage(self, text: str) -> None:
        """A new part of the work begins."""

    def on_read_start(self, total: int) -> None:
        """`total` episode files will be read."""

    def on_file_read(self, path: Path) -> None:
        """One of them was read."""

    def on_epoch_end(self, report: EpochReport, config: TrainConfig) -> None:
        """A training epoch ended."""


class DistilCallback:
    """What a distillation reports; override what you want to hear of."""

    def on_stage(self, text: str) -> None:
        """A new part of the work begins."""

    def on_read_start(self, total: int) -> None:
        """At most `total` episode files will be read."""

    def on_file_read(self, path: Path) -> None:
        """One of them was read."""

    def on_label_start(self, number: int, states: int) -> None:
        """Round `number` labels this many states."""

    def on_labelled(self, states: int) -> None:
        """So many states of the round are labelled."""
