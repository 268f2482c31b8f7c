# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What worlds are installed, in words."""

from __future__ import annotations

from pathlib import Path

import mujoco

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.shares import shared_files
from mbrl_controller.models.origin import simulated_world
from mbrl_controller.simulation.scene import compile_world, file_digest
from mbrl_controller.simulation.scene_paths import read_scene_once


def list_worlds(more: tuple[Path, ...] = ()) -> list[dict[str, str]]:
    """A row for each scene of all packages, and for those of `more`: robot, task, objects, digest, package, file.

    A scene that cannot be used has the reason in place of its objects.
    """
    found = {path: package for path, package in shared_files("sim/*/scene.yaml").items() if path not in more}
    return [_row(path, package) for path, package in (*found.items(), *((path, "") for path in more))]


def _row(path: Path, package: str) -> dict[str, str]:
    row = dict.fromkeys(("robot", "task", "objects", "world"), "")
    try:
        file = read_scene_once(path)
        row |= {"robot": file.robot or "any", "task": file.task or "any", "world": simulated_world(file_digest(path))}
        row["objects"] = ", ".join(_objects(compile_world(path).model)) or "none"
    except ContractError as error:
        row["objects"] = f"cannot be used: {error}"
    return row | {"package": package, "file": str(path)}


def _objects(model: mujoco.MjModel) -> list[str]:
    """Names of free bodies."""
    free = int(mujoco.mjtJoint.mjJNT_FREE)
    return [
        model.body(int(model.jnt_bodyid[joint])).name
        for joint in range(model.njnt)
        if int(model.jnt_type[joint]) == free
    ]
