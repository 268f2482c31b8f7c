# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Scalars for TensorBoard, if the package `tensorboard` is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EventWriter:
    """Event files in one folder. Old ones are removed, so that a resumed run has no duplicate points."""

    def __init__(self, folder: Path) -> None:
        """Raises ModuleNotFoundError without `tensorboard`."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:  # torch's own message, or the package's
            raise ModuleNotFoundError("No module named 'tensorboard'", name="tensorboard") from error
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer: Any = SummaryWriter(str(folder))

    def add(self, scalars: Mapping[str, float], step: int) -> None:
        """Write values by name at `step` and flush."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is buffered and close."""
        self._writer.close()
