# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Reads scene.yaml; one of format 1 as one of format 2 that says what was understood there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.yaml_text import load_yaml
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.simulation.scene_file import BY_OPTION, Camera, ModelFile, SceneFile, Strict, Vector3


def read_scene(path: Path) -> SceneFile:
    """Read scene.yaml; raises ContractError naming the file, the entry and the fault."""
    try:
        document = load_yaml(path.read_text())
        if not isinstance(document, dict):
            raise ContractError(f"{path}: expected a mapping with format_version, robot, task, model")
        if document.get("format_version") != 1:
            return SceneFile.model_validate(document)
        file = SceneFile.model_validate(_upgraded(_Format1.model_validate(document)))
        file.mark_as_format_1()
        return file
    except ValidationError as error:
        raise ContractError(f"{path}: {describe_validation(error)}") from error
    except (OSError, ValueError) as error:
        raise ContractError(f"{path}: {error}") from error


class _Edit1(Strict):
    remove_bodies: tuple[str, ...] = ()
    remove_sites: tuple[str, ...] = ()
    floor: dict[str, float] = Field(default_factory=dict)
    tendons: bool = True
    place: dict[str, Vector3] = Field(default_factory=dict)
    gains: dict[str, float] = Field(default_factory=dict)
    default_gain: float | None = Field(default=None, gt=0)


class _Start1(Strict):
    settle: float = Field(default=0.5, ge=0, le=10)
    joints: dict[str, float] = Field(default_factory=dict)


class _Ball1(Strict):
    position: Vector3
    radius: float = Field(gt=0)
    mass: float = Field(gt=0)
    condim: Literal[1, 3, 4, 6] = 4
    friction: Vector3
    rgba: tuple[float, float, float, float] = (0.7, 0.7, 0.7, 1.0)


class _Format1(Strict):
    format_version: Literal[1]
    robot: str
    task: str
    model: ModelFile
    balls: dict[str, _Ball1] = Field(default_factory=dict)
    edit: _Edit1 = _Edit1()
    timestep: float = Field(gt=0, le=0.02)
    start: _Start1 = _Start1()
    camera: Camera


def _upgraded(file: _Format1) -> dict[str, Any]:
    """What format 1 did to each model, in the words of format 2."""
    given = file.model_dump(exclude={"balls", "timestep", "format_version"})
    given["edit"] |= {"remove_sensors": "all", "remove_cameras": "all"}
    given["options"] = {
        "timestep": file.timestep,
        "integrator": "implicitfast",
        "cone": "pyramidal",
        "noslip_iterations": 0,
        "jacobian": "dense",  # MuJoCo 4.0.0's Newton solver is wrong with sparse ones
    }
    given["objects"] = {
        name: ball.model_dump(exclude={"radius"}) | {"shape": "sphere", "size": (2 * ball.radius,)}
        for name, ball in file.balls.items()
    }
    given["start"]["vary"] = {"joints": {"*": BY_OPTION}, "objects": {"*": {"position": BY_OPTION}}}
    return given | {"format_version": 2, "ctrlrange": "joint"}
