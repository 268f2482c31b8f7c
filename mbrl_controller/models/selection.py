# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which of a version's files is served: the 8-bit one where that is possible, else the fp32 one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.registry import INT8_FILE, ModelCard, Version
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace


@dataclass(frozen=True)
class Choice:
    """A file as it was read and found to be the card's. `fallback`: why it is not the 8-bit one that the version has;
    else empty."""

    file: ModelFile
    card: ModelCard
    fallback: str = ""

    @property
    def precision(self) -> Literal["fp32", "int8"]:
        """That of the file."""
        return "int8" if self.file.path.name == INT8_FILE else self.card.spec.precision


def choose_file(
    version: Version,
    precision: str = "auto",
    backend: str = "onnx",
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
    try_out: Callable[[ModelFile], None] = lambda file: None,
) -> Choice:
    """The file of `version` that `backend` serves in `precision` (registry.ServedPrecision).

    auto loads the 8-bit file to see whether it runs on this processor, and takes the fp32 one where it is refused.
    `try_out` is asked before anything is loaded, and refuses by ModelError. backend torch serves fp32. Raises
    ModelError for a version that cannot be served so.
    """
    if backend == "torch":
        if precision == "int8":
            raise ModelError("backend torch serves the fp32 file only; leave out precision int8")
        precision = "fp32"
    card, fallback = version.card(), ""
    path = version.served(precision, card)
    if precision == "auto" and path != version.model:
        try:
            file = version.read(path, card)
            try_out(file)
            OnnxEnsemble.load(file, task=task, action=action)
            return Choice(file, card)
        except ModelError as error:
            path, fallback = version.model, str(error)
    file = version.read(path, card)
    try_out(file)
    return Choice(file, card, fallback)
