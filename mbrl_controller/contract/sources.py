# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The state's sources in a contract file: which topic, and which entries its messages fill."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mbrl_controller.contract.fields import LATER, SINCE_2, Name, Range, Scalar, Strict, Topic
from mbrl_controller.contract.joint_map import DriverJoint, JointMap, joint_map
from mbrl_controller.tasks.spaces import AXES, parse_entry

Quantity = Literal["position", "velocity", "effort", "orientation", "angular_velocity", "value"]
ObjectQuantity = Literal["position", "velocity", "orientation", "angular_velocity"]
DERIVED = {
    "velocity": "position",
    "angular_velocity": "orientation",
}  # what a pose does not say, and what it is made from
COMPONENTS = {"position": "xyz", "velocity": "xyz", "angular_velocity": "xyz", "orientation": AXES}


class _Source(Strict):
    topic: Topic = Field(description="where its messages come from")
    max_age_s: float = Field(default=0.25, gt=0, le=60, description="a state with an older stamp is stale")
    max_silence_s: float | None = Field(
        default=None, gt=0, le=60, description="longest time without a newer measurement; None: 1.2 control periods"
    )
    valid: dict[Quantity, Range] = Field(default_factory=dict, description="by quantity, SI units")
    publishers: Literal["one", "several", "parts"] = Field(
        default="one",
        description="one: hold while several nodes publish the topic; several: use the newest message; parts: each "
        "publisher sends some of the joints",
    )

    @property
    def key(self) -> str:
        """Unique name in its contract: the topic, for a transform with the child frame."""
        return self.topic

    @property
    def derived(self) -> tuple[str, ...]:
        """Quantities that are made from successive messages, which must therefore all be read in order."""
        return ()

    def entries(self) -> list[str]:
        """State entries from this source, in order."""
        raise NotImplementedError

    def new_in_2(self) -> list[str]:
        new = [f"valid.{quantity}" for quantity in self.valid if quantity not in ("position", "velocity")]
        return super().new_in_2() + new + (["publishers: parts"] if self.publishers == "parts" else [])

    @model_validator(mode="after")
    def _only_joints_in_parts(self) -> _Source:
        if self.publishers == "parts" and not isinstance(self, JointSource):
            raise ValueError("publishers: parts is for joints")
        return self


class StateJoint(Strict):
    """A joint that the driver has under another name, sign, unit or zero."""

    name: Name = Field(description="the contract's")
    mapping: DriverJoint | None = Field(
        default=None, alias="as", description="the driver's name, sign, unit and zero; None: as the source has it"
    )


class JointSource(_Source):
    """Joints from sensor_msgs/JointState, found by name in any order, or by index."""

    type: Literal["sensor_msgs/msg/JointState"] = Field(description="message type")
    joints: tuple[Name | StateJoint, ...] = Field(min_length=1, description="names, or mappings with `name` and `as`")
    fields: tuple[Literal["position", "velocity", "effort"], ...] = Field(
        default=("position",), description="what of each joint is part of the state: rad, rad/s, N m"
    )
    ignore_unknown: bool = Field(default=False, description="allow other joints in the message, such as an arm's")
    mapping: Annotated[DriverJoint | Literal["command"] | None, SINCE_2] = Field(
        default=None, alias="as", description="of all joints; command: each as the command has it"
    )
    by: Annotated[Literal["name", "index"], SINCE_2] = Field(
        default="name", description="index: the driver sends these joints in this order, and no names to rely on"
    )
    raw: Annotated[Range | None, SINCE_2] = Field(
        default=None, description="valid positions as the driver sends them, before the mapping"
    )

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The contract's names of the joints."""
        return tuple(joint if isinstance(joint, str) else joint.name for joint in self.joints)

    @functools.cached_property
    def joint_map(self) -> JointMap:
        """The joints as the driver has them."""
        own = [(j, None) if isinstance(j, str) else (j.name, j.mapping) for j in self.joints]
        assert self.mapping != "command"  # the contract has written it out
        return joint_map(own, self.mapping, self.topic)

    def entries(self) -> list[str]:
        """State entries from this source, in order."""
        return [f"{joint}.{quantity}" for quantity in self.fields for joint in self.names]

    def new_in_2(self) -> list[str]:
        new = ["fields: effort"] if "effort" in self.fields else []
        return super().new_in_2() + new + [f"joints: {j.name}: as" for j in self.joints if isinstance(j, StateJoint)]

    @model_validator(mode="after")
    def _sensible(self) -> JointSource:
        if self.by == "index" and (self.ignore_unknown or self.publishers == "parts"):
            raise ValueError("by: index takes messages with exactly these joints: no ignore_unknown, publishers: parts")
        return self


class Transform(Strict):
    """Pose of the messages' frame in the contract's frame. The rotation is a quaternion x, y, z, w."""

    frame_id: Name | None = Field(default=None, description="the messages' frame; None: any, as they say")
    translation: tuple[Scalar, Scalar, Scalar] = Field(default=(0.0, 0.0, 0.0), description="x, y, z, m")
    rotation: tuple[Scalar, Scalar, Scalar, Scalar] = Field(
        default=(0.0, 0.0, 0.0, 1.0), description="unit quaternion x, y, z, w"
    )

    @model_validator(mode="after")
    def _unit(self) -> Transform:
        length = math.hypot(*self.rotation)
        if not abs(length - 1) < 0.01:
            raise ValueError(f"rotation: a unit quaternion x, y, z, w, but its length is {length:.3g}")
        return self


class ObjectSource(_Source):
    """An object in space."""

    object: Name = Field(description="its name in state entries")
    frame: Name = Field(default="world", description="the state's frame: the messages' frame_id, unless transformed")
    fields: Annotated[tuple[ObjectQuantity, ...], SINCE_2] = Field(
        default=("position", "velocity"), min_length=1, description="what of it is part of the state"
    )
    transform: Annotated[Transform | Literal["tf"] | None, SINCE_2] = Field(
        default=None, description="from the messages' frame to `frame`: given here, or looked up on /tf_static"
    )

    def entries(self) -> list[str]:
        """State entries from this source, in order."""
        return [f"{self.object}.{quantity}.{part}" for quantity in self.fields for part in COMPONENTS[quantity]]


class OdometrySource(ObjectSource):
    """An object from nav_msgs/Odometry.

    The twist is in the pose's frame if child_frame_id equals frame_id. Otherwise it is in the child frame, as in
    REP-105, and is rotated by the pose.
    """

    type: Literal["nav_msgs/msg/Odometry"] = Field(description="message type")


class VelocityFilter(Strict):
    """Velocity from successive poses: difference quotient and first-order low-pass filter."""

    kind: Literal["low_pass"] = Field(default="low_pass", description="of first order")
    time_constant_s: float = Field(default=0.03, ge=0, description="0: none")


class TrackedSource(ObjectSource):
    """An object whose messages say where it is, not how it moves."""

    type: str = Field(description="message type")  # before the rest, as in the digests of format 1
    velocity_filter: VelocityFilter = Field(default=VelocityFilter(), description="of velocities made from poses")
    rate_hz: Annotated[float, LATER] = Field(
        default=100.0, gt=0, le=1000, description="of the tracker's measurements, for simulation"
    )

    @property
    def derived(self) -> tuple[str, ...]:
        return tuple(quantity for quantity in self.fields if quantity in DERIVED)

    def per_period(self, period: float) -> int:
        """Measurements in a control period (s) of a simulation, the last one at its end; a whole number."""
        return max(1, round(period * self.rate_hz))

    @model_validator(mode="after")
    def _derivable(self) -> TrackedSource:
        for quantity in self.derived:
            if DERIVED[quantity] not in self.fields:
                raise ValueError(f"fields: {quantity} is made from {DERIVED[quantity]}, which is not among them")
        return self


class PoseSource(TrackedSource):
    """An object from geometry_msgs/PoseStamped, its velocity estimated by a filter."""

    type: Literal["geometry_msgs/msg/PoseStamped"] = Field(description="message type")


class TransformSource(TrackedSource):
    """An object from tf2_msgs/TFMessage, by the frame fixed to it; other frames in the messages are ignored."""

    type: Literal["tf2_msgs/msg/TFMessage"] = Field(description="message type")
    child_frame: Name = Field(description="the frame that is fixed to the object")
    publishers: Literal["one", "several", "parts"] = Field(
        default="several", description="as of the other sources; several: all robots share /tf"
    )

    @property
    def key(self) -> str:
        return f"{self.topic}#{self.child_frame}"

    def new_in_2(self) -> list[str]:
        return [*super().new_in_2(), f"type: {self.type}"]


class ArraySource(_Source):
    """Numbers from std_msgs/Float32MultiArray or Float64MultiArray, which have no stamp."""

    type: Literal["std_msgs/msg/Float32MultiArray", "std_msgs/msg/Float64MultiArray"] = Field(
        description="message type"
    )
    elements: dict[Name, Annotated[int, Field(ge=0, lt=2**20)]] = Field(
        min_length=1, alias="entries", description="state entry: index in `data`"
    )
    stamp: Literal["receipt"] = Field(default="receipt", description="measured when received; in a log, when logged")

    def entries(self) -> list[str]:
        """State entries from this source, in order."""
        return list(self.elements)

    def new_in_2(self) -> list[str]:
        return [*super().new_in_2(), f"type: {self.type}"]

    @model_validator(mode="after")
    def _names(self) -> ArraySource:
        for name in self.elements:
            parse_entry(name)
        return self


Source = Annotated[
    JointSource | OdometrySource | PoseSource | TransformSource | ArraySource, Field(discriminator="type")
]
