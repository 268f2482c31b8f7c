"""Which of a version's files is served: the 8-bit one where that is possible, else the fp32 one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mbrl_controller.errors import ModelError
from mbrl_controller.planning.onnx_ensemble import OnnxEnsemble
from mbrl_controller.registry import INT8_FILE, ModelCard, Version
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace


@dataclass(frozen=True)
class Choice:
    """A file whose digest was checked. `fallback`: why it is not the 8-bit one that the version has; else empty."""

    file: Path
    card: ModelCard
    fallback: str = ""

    @property
    def precision(self) -> Literal["fp32", "int8"]:
        """That of the file."""
        return "int8" if self.file.name == INT8_FILE else self.card.spec.precision

    @property
    def digest(self) -> str:
        """The file's SHA-256 (hex)."""
        return (self.card.int8_sha256 or "") if self.file.name == INT8_FILE else self.card.model_sha256


def choose_file(
    version: Version,
    precision: str = "auto",
    backend: str = "onnx",
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
) -> Choice:
    """The file of `version` that `backend` serves in `precision` (registry.ServedPrecision).

    auto tries the 8-bit file out on this processor, which costs a loading, and takes the fp32 one where it is refused.
    backend torch serves fp32. Raises ModelError for a version that cannot be served so.
    """
    if backend == "torch":
        if precision == "int8":
            raise ModelError("backend torch serves the fp32 file only; leave out precision int8")
        precision = "fp32"
    file, fallback = version.served(precision), ""
    if precision == "auto" and file != version.model:
        try:
            card = version.check_digest(file)
            OnnxEnsemble.load(file, task=task, action=action)
            return Choice(file, card)
        except ModelError as error:
            file, fallback = version.model, str(error)
    return Choice(file, version.check_digest(file), fallback)
