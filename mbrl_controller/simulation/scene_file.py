# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What scene.yaml says, in format 2."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from mbrl_controller.base.number_entries import NumberEntries

Vector3 = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


def _unit(value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if not abs(sum(part * part for part in value) - 1) < 0.02:
        raise ValueError(f"a unit quaternion x, y, z, w, but it is {list(value)}")
    return value


Quaternion = Annotated[tuple[float, float, float, float], AfterValidator(_unit)]  # x, y, z, w

SIZES = {"sphere": 1, "box": 3, "cylinder": 2, "capsule": 2, "ellipsoid": 3, "mesh": 0}  # numbers in `size`
MUJOCO = "as MuJoCo's option of this name"
BY_OPTION = "option"  # a start is drawn in the range of SimOptions


class Strict(NumberEntries):
    """A mapping in which each key is known and each number finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelFile(Strict):
    """An MJCF or URDF file beside scene.yaml, or inside an installed Python package."""

    package: str | None = Field(default=None, description="an installed Python package; None: beside scene.yaml")
    file: str = Field(description="path, within the package or beside scene.yaml")


class JointPhysics(Strict):
    """What many URDF files do not say of a joint; None: as the file says."""

    armature: NotNegative | None = Field(default=None, description="inertia of the motor, kg m^2 or kg")
    damping: NotNegative | None = Field(default=None, description="N m s/rad or N s/m")
    frictionloss: NotNegative | None = Field(default=None, description="N m or N")


class Edit(Strict):
    """Changes to a third-party model."""

    remove_bodies: tuple[str, ...] = Field(default=(), description="names, with all that is on them")
    remove_sites: tuple[str, ...] = Field(default=(), description="names")
    remove_sensors: tuple[str, ...] | Literal["all"] = Field(default=(), description="names, or all")
    remove_cameras: tuple[str, ...] | Literal["all"] = Field(default=(), description="names, or all")
    floor: dict[str, float] = Field(default_factory=dict, description="z of plane geoms in the world, m")
    tendons: bool = Field(default=True, description="keep the file's tendons, whose ranges couple joints")
    place: dict[str, Vector3] = Field(default_factory=dict, description="body positions in their parents, m")
    turn: dict[str, Quaternion] = Field(
        default_factory=dict, description="body orientations in their parents, x, y, z, w"
    )
    gains: dict[str, float] = Field(default_factory=dict, description="position gain by joint, N m/rad")
    default_gain: float | None = Field(default=None, gt=0, description="position gain of the other joints, N m/rad")
    joints: dict[str, JointPhysics] = Field(default_factory=dict, description="by joint; * and ? stand for any letters")


class Options(Strict):
    """The physics' options; None: as the model file says."""

    timestep: float | None = Field(default=None, gt=0, le=0.02, description="s of one physics step")
    integrator: Literal["euler", "rk4", "implicit", "implicitfast"] | None = Field(default=None, description=MUJOCO)
    cone: Literal["pyramidal", "elliptic"] | None = Field(default=None, description=MUJOCO)
    jacobian: Literal["dense", "sparse", "auto"] | None = Field(default=None, description=MUJOCO)
    solver: Literal["pgs", "cg", "newton"] | None = Field(default=None, description=MUJOCO)
    iterations: int | None = Field(default=None, ge=1, description=MUJOCO)
    ls_iterations: int | None = Field(default=None, ge=1, description=MUJOCO)
    noslip_iterations: int | None = Field(default=None, ge=0, description=MUJOCO)
    tolerance: Positive | None = Field(default=None, description=MUJOCO)
    impratio: Positive | None = Field(default=None, description=MUJOCO)
    gravity: Vector3 | None = Field(default=None, description="m/s^2")


class PositionActuator(Strict):
    """A position servo added to a joint that has no actuator, as those of a URDF."""

    kp: float = Field(gt=0, description="N m/rad")
    kv: float = Field(default=0.0, ge=0, description="N m s/rad")
    force: float | None = Field(default=None, gt=0, description="limit, N m; None: as the joint says")


class SceneObject(Strict):
    """A free body that is added to the world."""

    shape: Literal["sphere", "box", "cylinder", "capsule", "ellipsoid", "mesh"] = Field(description="of the body")
    size: tuple[Positive, ...] = Field(
        default=(),
        description="whole dimensions, m: sphere [diameter]; box, ellipsoid [x, y, z]; cylinder, capsule [diameter, "
        "length along z], a capsule's with its caps",
    )
    file: str | None = Field(default=None, description="of a mesh, beside scene.yaml; its hull collides")
    scale: Vector3 = Field(default=(1.0, 1.0, 1.0), description="of a mesh: m per unit of its file")
    position: Vector3 = Field(description="at the start of an episode, m, world frame")
    orientation: Quaternion = Field(default=(0.0, 0.0, 0.0, 1.0), description="at the start, quaternion x, y, z, w")
    mass: float = Field(gt=0, description="kg, spread evenly")
    condim: Literal[1, 3, 4, 6] = Field(default=4, description="MuJoCo's dimensions of friction in its contacts")
    friction: Vector3 = Field(default=(1.0, 0.005, 0.0001), description="sliding, torsional (m), rolling (m)")
    rgba: tuple[float, float, float, float] = Field(default=(0.7, 0.7, 0.7, 1.0), description="colour, 0 to 1")

    @model_validator(mode="after")
    def _dimensions(self) -> SceneObject:
        wanted = SIZES[self.shape]
        if len(self.size) != wanted:
            raise ValueError(f"size of a {self.shape} has {wanted} numbers, not {len(self.size)}")
        if self.shape == "capsule" and self.size[1] <= self.size[0]:
            raise ValueError("size: the length of a capsule counts its caps, so it is more than the diameter")
        if (self.shape == "mesh") != (self.file is not None):
            raise ValueError("a mesh has a file" if self.file is None else f"a {self.shape} has no file")
        return self


class Turn(Strict):
    """A random turn about an axis of the world; without one, about any."""

    about: Vector3 | None = Field(default=None, description="axis in the world frame; None: any")
    range: float = Field(ge=0, le=3.15, description="turned by +-range, rad")

    @field_validator("about")
    @classmethod
    def _direction(cls, value: Vector3 | None) -> Vector3 | None:
        if value is not None and not any(value):
            raise ValueError("an axis has a direction")
        return value


class VaryObject(Strict):
    """How an object's start differs from one episode to the next; what is not named does not."""

    position: NotNegative | tuple[NotNegative, NotNegative, NotNegative] | Literal["option"] | None = Field(
        default=None, description="+-range, for all axes or each, m; option: start_object_noise"
    )
    orientation: Turn | Literal["any", "option"] | None = Field(
        default=None,
        description="a turn; any: all orientations alike; option: +-start_orientation_noise about any axis",
    )


class Vary(Strict):
    """What is drawn at the start of an episode, by name; * and ? stand for any letters."""

    joints: dict[str, NotNegative | Literal["option"]] = Field(
        default_factory=dict,
        description="+-range, rad or m; option: start_pose_noise, or start_angle_noise for what no actuator moves",
    )
    objects: dict[str, VaryObject] = Field(default_factory=dict, description="free bodies")


class Placed(Strict):
    """Where a free body starts; None: as in the file or the key pose."""

    position: Vector3 | None = Field(default=None, description="m, world frame")
    orientation: Quaternion | None = Field(default=None, description="quaternion x, y, z, w")


class Start(Strict):
    """How an episode starts."""

    key: str | None = Field(default=None, description="key pose of the model file")
    settle: float = Field(default=0.5, ge=0, le=10, description="time of holding the start pose before time 0, s")
    joints: dict[str, float] = Field(default_factory=dict, description="rad or m, over the key pose")
    objects: dict[str, Placed] = Field(default_factory=dict, description="free bodies of the file")
    vary: Vary = Field(default=Vary(), description="what differs between episodes; nothing else does")


class Camera(Strict):
    """Default viewpoint, in the world frame (m)."""

    position: Vector3 = Field(description="of the eye, m")
    look_at: Vector3 = Field(description="in the middle of the picture, m")


class SceneFile(Strict):
    """The YAML document of a world."""

    format_version: Literal[2] = Field(description="worlds of format 1 are still read")
    robot: str | None = Field(default=None, description="with task, for contracts that name no scene")
    task: str | None = Field(default=None, description="with robot; else only compared with the contract")
    model: ModelFile = Field(description="the hand and what is fixed around it")
    edit: Edit = Field(default=Edit(), description="what is changed of it")
    options: Options = Field(default=Options(), description="of the physics")
    objects: dict[str, SceneObject] = Field(default_factory=dict, description="free bodies to add, by name")
    add_actuators: dict[str, PositionActuator] = Field(
        default_factory=dict, description="by joint; * and ? stand for any letters"
    )
    actuators: dict[str, str] = Field(
        default_factory=dict, description="contract's joint -> actuator, where the names do not tell"
    )
    ctrlrange: Literal["file", "joint"] = Field(default="file", description="joint: the joints' ranges take its place")
    frame: str = Field(default="world", description="body or site that is the frame of the contract's objects")
    sensors: dict[str, str] = Field(default_factory=dict, description="state entry -> sensor, or sensor[index]")
    start: Start = Field(default=Start(), description="pose and objects at time 0")
    camera: Camera | None = Field(default=None, description="of pictures and the viewer")
    _was_format_1: bool = PrivateAttr(default=False)

    @property
    def neutral_first(self) -> bool:
        """Whether the contract's neutral pose comes before the scene's start pose, as it does in format 1."""
        return self._was_format_1

    def mark_as_format_1(self) -> None:
        """Note that the document was one of format 1."""
        self._was_format_1 = True
