# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which of a version's files is served.

Of a version with two, a controller serves the faster one that passes its checks (file_choice.py). Rollouts have no
deadline and should give the same episodes everywhere, so they take the 8-bit file wherever it passes.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.card import INT8_FILE, ModelCard, Version
from mbrl_controller.models.file_choice import ChoiceKey, FileChoice, remember, remembered
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.sandbox import check_in_sandbox, time_in_sandbox
from mbrl_controller.models.spec import Precision
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace


@dataclass(frozen=True)
class ModelFileChoice:
    """A version's file, with the card's digest. `fallback`: what is wrong here with the version's 8-bit file, so that
    it is not served; else empty. `why`: how the file was chosen, in words."""

    file: ModelFile
    card: ModelCard
    fallback: str = ""
    why: str = ""

    @property
    def precision(self) -> Precision:
        """The file's precision."""
        return "int8" if self.file.path.name == INT8_FILE else self.card.spec.precision


def select_model_file(
    version: Version,
    precision: str = "auto",
    backend: str = "onnx",
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
    sandbox_size: tuple[int, int] | None = None,
    gradients: bool = False,
) -> ModelFileChoice:
    """The version's file that `backend` serves; raises ModelError if there is none.

    Args:
        version: from the registry.
        precision: a ServedPrecision. auto loads the 8-bit file to check it on this processor, and falls back to the
            fp32 file if that fails, or if that file is the faster one.
        backend: torch serves fp32 files only.
        task: with `action`, the model must have been made for them.
        action: see `task`.
        sandbox_size: candidates and horizon at which a file first runs in a process of its own, and at which the
            version's files are timed unless they were before; None: neither.
        gradients: whether the planner asks for gradients, which fp32 files alone have.
    """
    if backend == "torch" or gradients:
        if precision == "int8":
            who = "backend torch" if backend == "torch" else "a planner that asks for gradients"
            raise ModelError(f"{who} is served the fp32 file only; leave out precision int8")
        precision = "fp32"
    card = version.card()
    path = version.path_for(precision, card)
    if precision != "auto" or path == version.model:
        file = version.read(path, card)
        if sandbox_size is not None:
            check_in_sandbox(file, *sandbox_size)
        return ModelFileChoice(file, card, why="" if precision == "auto" else f"precision {precision} was asked for")
    if sandbox_size is None:
        return _exact(version, card, task, action)
    return _fastest(version, card, task, action, sandbox_size)


def _exact(version: Version, card: ModelCard, task: Task | None, action: ActionSpace | None) -> ModelFileChoice:
    """The 8-bit file if it can be served, else the fp32 file."""
    try:
        file = version.read(version.int8, card)
        OnnxEnsemble.load(file, task=task, action=action)
        return ModelFileChoice(file, card, why="8 bit is exact here")
    except ModelError as error:
        return ModelFileChoice(version.read(version.model, card), card, fallback=str(error))


def _fastest(
    version: Version, card: ModelCard, task: Task | None, action: ActionSpace | None, size: tuple[int, int]
) -> ModelFileChoice:
    """The faster one of a version's two files, of those that can be served. Each is read when it is needed: one may
    be missing."""

    def fp32(fallback: str = "", why: str = "") -> ModelFileChoice:
        file = version.read(version.model, card)
        check_in_sandbox(file, *size)
        return ModelFileChoice(file, card, fallback, why)

    key = ChoiceKey.of(card, *size)
    known = remembered(key)
    if known is not None and known.precision == "fp32":
        try:
            return fp32(why=known.why)
        except ModelError:
            known = None  # the 8-bit file may still be good
    try:
        file = version.read(version.int8, card)
        if known is not None:
            check_in_sandbox(file, *size)
        else:
            int8_cpu_s = time_in_sandbox(file, *size)
        OnnxEnsemble.load(file, task=task, action=action)
    except ModelError as error:
        return fp32(fallback=str(error))
    if known is None:
        try:
            other = version.read(version.model, card)
            known = FileChoice(key=key, fp32_cpu_s=time_in_sandbox(other, *size), int8_cpu_s=int8_cpu_s)
        except ModelError as error:
            return ModelFileChoice(file, card, why=f"the fp32 file cannot be served: {error}")
        remember(known)
        if known.precision == "fp32":
            return ModelFileChoice(other, card, why=known.why)
    return ModelFileChoice(file, card, why=known.why)


def served_here(version: Version, card: ModelCard, size: tuple[int, int], trial: bool) -> dict[str, str]:
    """Which file a controller with `precision: auto` serves on this processor, and why, for display.

    Args:
        version: from the registry.
        card: its card.
        size: the planner's candidates and horizon.
        trial: time the files if they were not before; else that is said.
    """
    if version.path_for("auto", card) != version.model and not trial and remembered(ChoiceKey.of(card, *size)) is None:
        return {"file": "", "why": f"not timed yet with {size[0]} candidates and {size[1]} steps: --trial does it"}
    chosen = select_model_file(version, sandbox_size=size)
    return {"file": chosen.file.path.name, "why": chosen.fallback or chosen.why or "it is the only one"}
