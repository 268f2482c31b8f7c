# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which scene.yaml is the world of a contract; without MuJoCo, so that it can be asked before anything is loaded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.shares import shared_files
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.scene_reading import read_scene

read_scene_once = lru_cache(maxsize=32)(read_scene)


def available() -> dict[tuple[str, str], Path]:
    """Worlds of all packages: (robot, task) -> scene.yaml. Raises ContractError where two have the same."""
    found: dict[tuple[str, str], Path] = {}
    for path in shared_files("sim/*/scene.yaml"):
        file = read_scene_once(path)
        if file.robot is None or file.task is None:
            continue  # only for contracts that name it
        other = found.setdefault((file.robot, file.task), path)
        if other != path:
            raise ContractError(f"{other} and {path} are both worlds for robot {file.robot!r} and task {file.task!r}")
    return found


def has_world(contract: RobotContract) -> bool:
    """Whether a simulated world is known for the contract's robot and task; that it can be read is not checked."""
    return contract.file.scene is not None or (contract.file.robot, contract.task.name) in available()


def scene_path(contract: RobotContract) -> Path:
    """The scene.yaml that the contract names, else the one for its robot and task; raises ContractError."""
    named = contract.file.scene
    if named is not None:
        if contract.folder is None:
            raise ContractError(
                f"contract of {contract.file.robot}: its scene {named} is beside the contract's file, which is not "
                "known here; give the file (--contract FILE)"
            )
        path = (contract.folder / named).resolve()
        if not path.is_file():
            raise ContractError(f"contract of {contract.file.robot}: its scene {path} does not exist")
        return path
    worlds = available()
    key = (contract.file.robot, contract.task.name)
    if key not in worlds:
        known = ", ".join(f"{robot}/{task}" for robot, task in sorted(worlds))
        raise ContractError(
            f"no simulated world for robot {key[0]!r} and task {key[1]!r}; known: {known}; a contract can name "
            "its own: scene: scene.yaml"
        )
    return worlds[key]
