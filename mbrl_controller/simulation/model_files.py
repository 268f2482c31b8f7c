# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The files of a world, and their digest."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import mujoco

from mbrl_controller.base.errors import ContractError
from mbrl_controller.simulation.scene_file import SceneFile

_INCLUDE = re.compile(rb"""<include\s+file\s*=\s*["']([^"']+)["']""")


def model_path(file: SceneFile, folder: Path) -> Path:
    """The scene's model file; raises ContractError where the package that has it is not installed."""
    if file.model.package is None:
        return folder / file.model.file
    found = importlib.util.find_spec(file.model.package)
    if found is None or not found.submodule_search_locations:
        hand = f"the simulated {file.robot} hand" if file.robot else "the simulated hand"
        raise ContractError(
            f"{hand} needs the Python package {file.model.package!r}, which is not installed "
            f"(pip install {file.model.package.replace('_', '-')})"
        )
    return Path(found.submodule_search_locations[0]) / file.model.file


def digest(file: SceneFile, folder: Path) -> str:
    """SHA-256 (hex) of a world: its scene and the bytes of its files. Where episodes start does not change it.

    Raises OSError.
    """
    said = file.model_dump_json(exclude={"format_version", "robot", "task", "start", "camera"}, exclude_defaults=True)
    total = hashlib.sha256(said.encode())
    path = model_path(file, folder)
    spec = mujoco.MjSpec.from_file(str(path))
    meshes = [(path.parent / spec.meshdir, mesh.file) for mesh in spec.meshes if mesh.file]
    meshes += [(folder, item.file) for item in file.objects.values() if item.file]
    waiting = [path]
    for read in waiting:  # grows by what a file includes
        content = read.read_bytes()
        total.update(hashlib.sha256(content).digest())
        waiting += [path.parent / name.decode() for name in _INCLUDE.findall(content)]
    for where, name in meshes:
        # Where MuJoCo strips a path, the name is all it looks for.
        found = next((p for p in (where / name, where / Path(name).name) if p.is_file()), None)
        if found is not None:
            total.update(hashlib.sha256(found.read_bytes()).digest())
    return total.hexdigest()
