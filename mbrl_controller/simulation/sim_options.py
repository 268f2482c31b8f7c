# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Imperfections of the simulated hand: random start, sensor noise, delays, and physics that differ from the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.units import Metres, Number, Radians, Seconds, Unit
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.simulation.contact_options import ContactOptions


class SimOptions(ContactOptions):
    """Noise and randomisation. A range v is uniform in +-v around nominal, drawn at each reset from its seed."""

    # What is drawn at the start, the scene says (`start.vary`); these are the ranges where it gives none.
    start_pose_noise: Radians = Field(default=0.02, ge=0, le=0.5, description="range of each joint's start position")
    start_object_noise: Metres = Field(
        default=0.002, ge=0, le=0.02, description="range of the objects' start positions, along each axis"
    )
    start_orientation_noise: Radians = Field(
        default=0.0, ge=0, le=3.15, description="range of the objects' turn at the start, about any axis"
    )
    start_angle_noise: Radians = Field(
        default=0.7853981633974483, ge=0, le=3.15, description="range of a valve's start angle (PDDM: pi/4)"
    )
    start_turn: Radians = Field(
        default=0.0,
        ge=0,
        le=3.15,
        description="range of the rotation of circling objects' start about the centre",
    )

    joint_noise: Radians = Field(
        default=0.0, ge=0, le=0.5, description="standard deviation of the joint position sensors"
    )
    joint_velocity_noise: Annotated[float, Unit("rad/s")] = Field(
        default=0.0, ge=0, le=5, description="standard deviation of the joint velocity sensors"
    )
    object_noise: Metres = Field(
        default=0.0, ge=0, le=0.1, description="standard deviation of the object tracker, along each axis"
    )
    object_velocity_noise: Annotated[float, Unit("m/s")] = Field(
        default=0.0,
        ge=0,
        le=5,
        description="standard deviation of the objects' velocity, along each axis, where it is measured: one that is "
        "made from poses has their noise",
    )
    orientation_noise: Radians = Field(
        default=0.0, ge=0, le=1, description="standard deviation of the object tracker's rotation about each axis"
    )
    angular_velocity_noise: Annotated[float, Unit("rad/s")] = Field(
        default=0.0, ge=0, le=50, description="standard deviation of the objects' angular velocity, along each axis"
    )
    effort_noise: Annotated[float, Unit("N m")] = Field(
        default=0.0, ge=0, le=10, description="standard deviation of the joint effort sensors"
    )
    array_noise: Number = Field(
        default=0.0, ge=0, le=1e6, description="standard deviation of numbers in arrays (tactile), in their unit"
    )
    observation_latency: Seconds = Field(default=0.0, ge=0, le=1, description="time from measurement to its arrival")
    command_latency: Seconds = Field(default=0.0, ge=0, le=1, description="time from sending a command to its effect")
    command_disturbance: Radians = Field(
        default=0.0, ge=0, le=1, description="by how much pulses displace every joint's target, up or down"
    )
    command_disturbance_s: Seconds = Field(default=0.05, ge=0, le=10, description="how long such a pulse lasts")
    command_disturbance_every: Seconds = Field(
        default=1.0, gt=0, le=100, description="time in which there is one pulse, at a random moment"
    )
    drop_probability: Number = Field(default=0.0, ge=0, lt=1, description="fraction of measurements that are lost")

    mass: Number = Field(default=0.0, ge=0, lt=1, description="range of each object's mass, as a fraction")
    friction: Number = Field(
        default=0.0, ge=0, lt=1, description="range of the contact friction, one draw for all, as a fraction"
    )
    gain: Number = Field(default=0.0, ge=0, lt=1, description="range of each actuator's position gain, as a fraction")


NOMINAL = SimOptions()
# Sensors like the real hand's in PDDM (camera tracker: 5 mm, 20 ms); a hand that differs a little from the model.
PERTURBED = SimOptions(
    start_pose_noise=0.04,
    start_object_noise=0.003,
    start_orientation_noise=0.05,
    joint_noise=0.01,
    joint_velocity_noise=0.1,
    object_noise=0.003,
    object_velocity_noise=0.03,
    orientation_noise=0.03,
    angular_velocity_noise=0.3,
    effort_noise=0.01,
    observation_latency=0.02,
    command_latency=0.01,
    drop_probability=0.02,
    mass=0.2,
    friction=0.2,
    gain=0.1,
)
PRESETS: dict[str, SimOptions] = {"nominal": NOMINAL, "perturbed": PERTURBED}  # others are files: sim_presets.py


def checked_options(given: Mapping[str, Any], where: str = "sim options") -> SimOptions:
    """The options that `given` says; raises MbrlError, beginning with `where`, for what is unknown or out of range."""
    try:
        return SimOptions(**given)
    except ValidationError as error:
        raise MbrlError(f"{where}: {describe_validation(error, SimOptions, 'mbrl options sim')}") from error


def differing(options: SimOptions) -> dict[str, Any]:
    """The options that differ from the nominal ones, as JSON has them: what is noted of a simulated episode."""
    return options.model_dump(mode="json", exclude_defaults=True)
