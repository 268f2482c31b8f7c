# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a benchmark is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.errors import MbrlError


class UnavailableError(MbrlError):
    """A part, or a row of one, cannot be measured on this machine; the message says why."""


@dataclass(frozen=True)
class Settings:
    """The command's options."""

    task: str = "baoding"  # whose served model the parts plan with
    quick: bool = False  # fewer repeats: figures of the right size, percentiles of none
    peers_python: Path | None = None  # interpreter that has the peers' packages
    plot: Path | None = None  # picture of the part `samples`
    json_file: Path | None = None  # where the report goes; long parts keep what is done beside it
