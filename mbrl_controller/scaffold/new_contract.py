# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl contract new`: a first contract from a hand's model file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.contract.draft import draft_contract, urdf_joints
from mbrl_controller.tasks.reach import Reach


@dataclass(frozen=True)
class NewContract:
    """A contract's text, and what its task still lacks in it; empty if it can be used as it is."""

    text: str
    problem: str


def run(*, urdf: Path | None = None, mjcf: Path | None = None, task: str = Reach.name, robot: str = "") -> NewContract:
    """Draft a contract for the hand in a model file, `urdf` or `mjcf`.

    `task`: reach leaves out the objects of an MJCF; `robot`: empty: the file's name.

    Raises ContractError: the file is not a hand's, or one of its joints has no limits.
    """
    model = mjcf or urdf
    if model is None:
        raise ValueError("either urdf or mjcf")
    objects: tuple[str, ...] = ()
    if mjcf is None:
        joints = urdf_joints(model)
    else:
        from mbrl_controller.simulation.hand_model import read_hand

        hand = read_hand(mjcf)
        joints, objects = list(hand.joints), tuple(hand.objects)
    name = robot or re.sub(r"\W+", "_", model.stem)
    text = draft_contract(name, task, joints, model.name, () if task == Reach.name else objects)
    try:
        parse_contract(text)
    except ContractError as error:
        return NewContract(text, str(error))
    return NewContract(text, "")
