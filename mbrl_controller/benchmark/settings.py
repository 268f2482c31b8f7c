# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of `mbrl benchmark planner`, and what its parts have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mbrl_controller.base.errors import MbrlError

Table: TypeAlias = "tuple[str, list[dict[str, Any]]]"  # title and rows of plain values, for the cli to print


class UnavailableError(MbrlError):
    """A part, or a row of it, cannot be measured on this machine; the message gives the reason."""


@dataclass(frozen=True)
class Settings:
    """The command's options."""

    task: str = "baoding"  # the parts plan with its current model
    quick: bool = False  # fewer repeats: right order of magnitude, no reliable percentiles
    peers_python: Path | None = None  # interpreter that has the peers' packages
    plot: Path | None = None  # picture of the part `samples`
    json_file: Path | None = None  # for the report; long parts keep finished rows beside it
