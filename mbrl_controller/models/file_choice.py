# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which of a version's files is the fastest on this processor, and the memory of it.

8 bit is not faster everywhere: without VNNI, or for small networks, the fp32 file may be. Both are timed at the
planner's size in the processes that check them (models/sandbox.py), once for each processor, pair of files and size.
The decisions are files in `home_dir()`; without them, or if they are damaged, the files are timed again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnxruntime as ort
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base import machine
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.base.resources import home_dir
from mbrl_controller.models.card import ModelCard
from mbrl_controller.models.files import MAX_TEXT_BYTES, read_bounded
from mbrl_controller.models.onnx_session import int8_kernels
from mbrl_controller.models.spec import Precision

FOLDER = "file_choices"  # in home_dir()
WORTHWHILE = 0.95  # of the fp32 file's time; with less gain the exact weights are served


class ChoiceKey(BaseModel):
    """What a decision depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    processor: str
    onnxruntime: str
    kernels: str  # of 8-bit products
    fp32_sha256: str
    int8_sha256: str
    candidates: int
    horizon: int

    @classmethod
    def of(cls, card: ModelCard, candidates: int, horizon: int) -> ChoiceKey:
        """For a version with both files, in this process."""
        return cls(
            processor=machine.processor(),
            onnxruntime=ort.__version__,
            kernels=int8_kernels(),
            fp32_sha256=card.model_sha256 or "",
            int8_sha256=card.int8_sha256 or "",
            candidates=candidates,
            horizon=horizon,
        )

    @property
    def path(self) -> Path:
        """Where the decision is remembered; raises MbrlError where there is no home folder."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()
        return home_dir() / FOLDER / f"{digest[:32]}.json"


class FileChoice(BaseModel):
    """The times of a version's two files on one processor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: ChoiceKey
    fp32_cpu_s: float = Field(gt=0, allow_inf_nan=False)  # processor time of one rollout, one thread
    int8_cpu_s: float = Field(gt=0, allow_inf_nan=False)

    @property
    def precision(self) -> Precision:
        """Of the file to serve: both predict alike within their checks, so the faster one."""
        return "int8" if self.int8_cpu_s <= WORTHWHILE * self.fp32_cpu_s else "fp32"

    @property
    def why(self) -> str:
        """The decision in words."""
        size = f"{self.key.candidates} candidates, {self.key.horizon} steps"
        fp32, int8 = (f"{1e3 * s:.3g} ms" for s in (self.fp32_cpu_s, self.int8_cpu_s))
        return f"the fastest here: fp32 {fp32}, 8 bit ({self.key.kernels}) {int8} of processor time for {size}"


def remembered(key: ChoiceKey) -> FileChoice | None:
    """The decision made for `key` before; None if there is none, or nothing that can be believed."""
    try:
        choice = FileChoice.model_validate_json(read_bounded(key.path, MAX_TEXT_BYTES))
    except (OSError, MbrlError, ValidationError):
        return None
    return choice if choice.key == key else None


def remember(choice: FileChoice) -> None:
    """Keep a decision for the next time; where nothing can be written, that times the files again."""
    try:
        choice.key.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(choice.key.path, (choice.model_dump_json(indent=2) + "\n").encode())
    except (OSError, MbrlError):
        return
