# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Loads the heads of a version, with the checks of a model file: digest, operators, a first run in a sandbox, a fit.

`load_heads` for a controller. Rollouts name the files in one process (`HeadFiles.of`) and load them in others. Models
of windows that neither propose nor watch are loaded one at a time (`load_window`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.card import ModelCard, Version
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadKind
from mbrl_controller.models.onnx_density import OnnxDensity
from mbrl_controller.models.onnx_heads import HEADS
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_reward import OnnxReward
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.models.onnx_window import OnnxWindow
from mbrl_controller.models.sandbox import check_in_sandbox
from mbrl_controller.models.window_kinds import WindowName
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace

ACTING: tuple[HeadKind, ...] = ("policy", "value", "reward", "inverse", "multistep_inverse")
WATCHING: tuple[HeadKind, ...] = ("action_free", "joint")  # a controller tells what they say
_WINDOW_ROWS = 512  # with which a model of windows is tried out


@dataclass(frozen=True)
class Heads:
    """The loaded heads of a version; None: it has none of that kind."""

    policy: OnnxPolicy | None = None
    value: OnnxValue | None = None
    reward: OnnxReward | None = None
    inverse: OnnxWindow | None = None
    multistep_inverse: OnnxWindow | None = None
    action_free: OnnxWindow | None = None
    joint: OnnxDensity | None = None

    def check_sees(self, goals: int) -> None:
        """Raises ModelError if a head looks further ahead than `goals` control periods."""
        for head in (self.policy, self.value):
            if head is not None and head.spec.reach > goals:
                raise ModelError(f"{head.path}: it looks {head.spec.reach} periods ahead, further than {goals}")


class HeadFile(BaseModel):
    """A head's file and its digest (SHA-256, hex); plain data, so that other processes can take it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    sha256: str


class HeadFiles(BaseModel):
    """The heads' files of a version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: HeadFile | None = None
    value: HeadFile | None = None
    reward: HeadFile | None = None
    inverse: HeadFile | None = None
    multistep_inverse: HeadFile | None = None

    @classmethod
    def of(cls, version: Version, card: ModelCard | None = None) -> HeadFiles:
        """The files of a version, compared with its card; raises ModelError."""
        files = read_heads(version, card, ACTING)
        return cls(**{kind: HeadFile(path=file.path, sha256=file.sha256) for kind, file in files.items()})

    def read(self) -> dict[HeadKind, ModelFile]:
        """The files' content; raises ModelError if a digest is another one by now."""
        named: dict[HeadKind, HeadFile | None] = {kind: getattr(self, kind) for kind in ACTING}
        return {kind: ModelFile.read(head.path, head.sha256) for kind, head in named.items() if head is not None}


def read_heads(
    version: Version, card: ModelCard | None = None, kinds: Collection[HeadKind] = tuple(HEADS)
) -> dict[HeadKind, ModelFile]:
    """The files of a version's heads of these kinds, compared with its card; raises ModelError."""
    card = card or version.card()
    return {kind: version.read(version.head(kind), card) for kind in card.heads if kind in kinds}


def open_heads(
    files: Mapping[HeadKind, ModelFile],
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
    threads: int = 1,
) -> Heads:
    """Load files that were read before; raises ModelError.

    Args:
        files: by kind.
        task: with `action`, the heads must have been made for them.
        action: see `task`.
        threads: of ONNX Runtime.
    """
    made = {kind: HEADS[kind].load(file, task=task, action=action, threads=threads) for kind, file in files.items()}
    return Heads(**made)  # type: ignore[arg-type]  # of each kind's class


def load_heads(
    version: Version,
    card: ModelCard | None = None,
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
    threads: int = 1,
    sandbox_rows: int | None = None,
    sandbox_steps: int = 1,
) -> Heads:
    """The heads that a version has; raises ModelError, naming the file, for a damaged one.

    Args:
        version: from the registry; it needs no model.
        card: its card, if it was read before.
        task: with `action`, the heads must have been made for them.
        action: see `task`.
        threads: of ONNX Runtime.
        sandbox_rows: states at which a file first runs in a process of its own, and with which it is warmed up; None:
            neither.
        sandbox_steps: of a plan: a reward is asked of all of its steps at once.
    """
    files = read_heads(version, card, (*ACTING, *WATCHING))
    if sandbox_rows is not None:
        for kind, file in files.items():
            check_in_sandbox(file, sandbox_rows, sandbox_steps if kind == "reward" else 1, kind)
    heads = open_heads(files, task=task, action=action, threads=threads)
    for head in (heads.policy, heads.value, heads.reward):
        if head is not None and sandbox_rows is not None:
            head.warm_up(sandbox_rows * sandbox_steps if head is heads.reward else sandbox_rows)
    return heads


def load_window(
    version: Version,
    kind: WindowName,
    card: ModelCard | None = None,
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
    threads: int = 1,
) -> OnnxWindow | OnnxDensity:
    """A version's model of windows of this kind, first run in a sandbox; raises ModelError, also if there is none.

    Arguments as of `load_heads`.
    """
    found = read_heads(version, card, (kind,))
    if kind not in found:
        raise ModelError(
            f"{version.task} {version.name} has no model of kind {kind}: mbrl fit {version.task} --kind {kind} makes a "
            "version with one"
        )
    check_in_sandbox(found[kind], _WINDOW_ROWS, 1, kind)
    head = HEADS[kind].load(found[kind], task=task, action=action, threads=threads)
    assert isinstance(head, OnnxWindow | OnnxDensity)
    return head
