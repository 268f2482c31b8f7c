# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of a system identification."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mbrl_controller.base.units import Count, Number

# As simulation/physical_parameters.py names them, which needs the simulator.
COMMON = (
    "mass_factor",
    "friction_factor",
    "gain_factor",
    "damping_factor",
    "loose_friction_factor",
    "command_latency",
)


class IdentifyConfig(BaseModel):
    """Options of a system identification."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    parameters: tuple[str, ...] = Field(
        default=COMMON,
        description="what is fitted, by the names of `mbrl options sim`; also contact_time, contact_damping, "
        "contact_impedance, torsional_friction, rolling_friction",
    )
    window: Count = Field(
        default=1, ge=1, le=50, description="control periods simulated from each measured state; contacts are chaotic"
    )
    max_periods: Count = Field(
        default=1000, ge=10, le=1_000_000, description="most control periods of the log that are simulated"
    )
    max_iterations: Count = Field(default=5, ge=1, le=500, description="most Gauss-Newton steps of each of five passes")
    huber: Number = Field(
        default=1.5, gt=0, le=100, description="errors above it, in robust deviations, count linearly"
    )
    holdout_fraction: Number = Field(
        default=0.1, gt=0, lt=1, description="share of the episodes that the fit does not see and is judged on"
    )

    @field_validator("parameters", mode="after")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) != len(names):
            raise ValueError("at least one parameter, and each once")
        return names
