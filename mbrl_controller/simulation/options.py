"""What is imperfect about the simulated hand: start, sensors, delays, and physics off the nominal one."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.errors import ContractError

Preset = Literal["nominal", "perturbed"]


class SimOptions(BaseModel):
    """Ranges are symmetric: a value v means uniform in +-v around nominal, drawn anew at each reset from its seed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    start_pose_noise: float = Field(default=0.02, ge=0, le=0.5, description="start pose, rad per joint")
    start_object_noise: float = Field(default=0.002, ge=0, le=0.02, description="start position of objects, m per axis")
    start_angle_noise: float = Field(
        default=0.7853981633974483, ge=0, le=3.15, description="start angle of a valve, rad (PDDM: pi/4)"
    )
    start_turn: float = Field(
        default=0.0, ge=0, le=3.15, description="start of objects that go round: turned about the centre, rad"
    )

    joint_noise: float = Field(default=0.0, ge=0, le=0.5, description="joint position sensor, rad standard deviation")
    joint_velocity_noise: float = Field(default=0.0, ge=0, le=5, description="joint velocity sensor, rad/s std. dev.")
    object_noise: float = Field(default=0.0, ge=0, le=0.1, description="object tracker, m standard deviation per axis")
    object_velocity_noise: float = Field(default=0.0, ge=0, le=5, description="object velocity, m/s std. dev. per axis")
    observation_latency: float = Field(default=0.0, ge=0, le=1, description="s from measurement to its arrival")
    command_latency: float = Field(default=0.0, ge=0, le=1, description="s from sending a command to its effect")
    drop_probability: float = Field(default=0.0, ge=0, lt=1, description="share of measurements that never arrive")

    mass: float = Field(default=0.0, ge=0, lt=1, description="mass of each object, +- fraction")
    friction: float = Field(default=0.0, ge=0, lt=1, description="contact friction, one draw for all, +- fraction")
    gain: float = Field(default=0.0, ge=0, lt=1, description="position gain of each actuator, +- fraction")


NOMINAL = SimOptions()
# Sensing like that of the real hand in PDDM (camera tracker: 5 mm, 20 ms); a hand that is not quite the one modelled.
PERTURBED = SimOptions(
    start_pose_noise=0.04,
    start_object_noise=0.003,
    joint_noise=0.01,
    joint_velocity_noise=0.1,
    object_noise=0.003,
    object_velocity_noise=0.03,
    observation_latency=0.02,
    command_latency=0.01,
    drop_probability=0.02,
    mass=0.2,
    friction=0.2,
    gain=0.1,
)
PRESETS: dict[str, SimOptions] = {"nominal": NOMINAL, "perturbed": PERTURBED}


def preset(name: str) -> SimOptions:
    """Options by name; raises ContractError for an unknown one."""
    if name not in PRESETS:
        raise ContractError(f"unknown simulation preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]
