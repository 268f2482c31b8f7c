# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Registries of versions whose numbers a test can work out: linear models, and linear heads beside them or alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.card import HEAD_FILES, MODEL_FILE, ModelCard
from mbrl_controller.models.heads import METHODS, HeadCard, HeadSpec
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import ModelSpec

from .linear_head import linear_head_bytes
from .linear_model import linear_model_bytes


def version_with_heads(
    contract: RobotContract,
    folder: Path,
    *,
    model: bool = True,
    policy: float | None = 0.5,
    value: float | None = None,
    reach: int = 3,
) -> Registry:
    """A registry with one version, v0001, that is current.

    Args:
        contract: of the hand; its task has an entry `valve.position`.
        folder: gets models/.
        model: two members that predict joints at their targets, which turn the valve; False: the version has none.
        policy: normalised action of every joint, for three steps; None: no policy.
        value: of every state; None: no value.
        reach: how far ahead the heads see the goal.
    """
    files, (S, A) = folder / "new", (len(contract.task.state), len(contract.action))
    files.mkdir()
    members = 2 if model else 0
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, members, (1,))
    spec = spec.model_copy(update={"version": "v0001"})
    card = {"spec": spec}
    if model:
        mix = np.zeros((members, A, S), np.float32)
        mix[:, :, contract.task.state.index("valve.position")] = 0.1
        (files / MODEL_FILE).write_bytes(linear_model_bytes(mix, spec.to_metadata()))
        card["model_sha256"] = file_sha256(files / MODEL_FILE)
    for kind, offset in (("policy", policy), ("value", value)):
        if offset is None:
            continue
        more = {"horizon": 3} if kind == "policy" else {"members": 2, "discount": 0.9}
        head = HeadSpec.of(kind, contract.task, contract.file.robot, contract.action, (1, reach), (8,), **more)
        columns = 3 * A if kind == "policy" else 2
        path = files / HEAD_FILES[kind]
        path.write_bytes(linear_head_bytes(head, np.zeros((S, columns)), offset=offset))
        card[kind] = HeadCard(sha256=file_sha256(path), kind=METHODS[kind][0])
    registry = Registry(folder / "models", shipped=folder / "none")
    registry.add(contract.task.name, files, ModelCard.model_validate(card))
    registry.promote(contract.task.name, "v0001")
    return registry
