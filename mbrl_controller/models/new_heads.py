# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Adds a version that is another one with new heads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.card import CARD_FILE, HEAD_FILES, ONNX_FILES, ModelCard, Version
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadCard, HeadKind
from mbrl_controller.models.onnx_heads import HEADS
from mbrl_controller.models.registry import Registry


def add_heads(
    registry: Registry,
    task: str,
    version: str,
    files: Path,
    heads: Mapping[HeadKind, HeadCard],
    *,
    created: str,
    command: str = "",
    notes: str = "",
) -> Version:
    """Add a version that is `version` with other heads: its files, byte for byte, and over them those of `files`.

    A head that `heads` does not name stays as it was. The new version's parent is `version`; an evaluation of that is
    not on its card, because with other heads it may act in another way. Killed at any moment, it adds all or nothing.

    Args:
        registry: where both are.
        task: the task.
        version: whose files to take over: a name, or `current`.
        files: folder with the files of the new heads (`policy.onnx`, `value.onnx`, `reward.onnx`) and what else the
            version shall have, such as a report.
        heads: what the card says of the new heads; their digests must be those of the files.
        created: when, ISO 8601.
        command: how it was made.
        notes: of a person.

    Returns:
        The new version, which is not promoted.

    Raises:
        ModelError: for a damaged file of either, and a head of another task or robot than the version's.
        RegistryError: if nothing can be written, or another version was added meanwhile.
    """
    old = registry.resolve(task, version)
    card = old.card()
    if not heads:
        raise ModelError(f"{task} {old.name}: no heads were given to add")
    whole = old.read_all(card)
    for kind, head in heads.items():
        file = whole[HEAD_FILES[kind]] = ModelFile.read(files / HEAD_FILES[kind], head.sha256)
        _check_alike(kind, file, card)
    spec = {"version": registry.next_name(task), "parent": old.name, "created": created}
    new: dict[str, Any] = card.model_dump(exclude={"evaluation", "evaluation_precision"})
    new |= {"spec": card.spec.model_copy(update=spec), "command": command, "notes": notes}
    new |= {kind: head.model_dump() for kind, head in heads.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (*old.folder.iterdir(), *files.iterdir()):
            if path.is_file() and path.name not in (CARD_FILE, *ONNX_FILES):
                shutil.copy2(path, folder / path.name)
        for name, file in whole.items():  # the bytes that were compared with the cards
            (folder / name).write_bytes(file.content)
        return registry.add(task, folder, ModelCard.model_validate(new))


def _check_alike(kind: HeadKind, file: ModelFile, card: ModelCard) -> None:
    """Raises ModelError if a head is not of the version's task, robot, state and action."""
    own, head = card.spec, HEADS[kind].load(file).spec
    names = ("task", "robot", "state_names", "state_units", "action_names", "control_period_s")
    differ = [name for name in names if getattr(own, name) != getattr(head, name)]
    if differ:
        raise ModelError(f"{file.path}: its {', '.join(differ)} are not those of the version's model")
