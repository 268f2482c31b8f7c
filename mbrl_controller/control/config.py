# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options of the controller, besides the planner's own: planning, safety and episodes.

Names, descriptions, units and bounds of the ROS parameters come from these fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mbrl_controller.base.deprecated import renamed_fields, with_new_names
from mbrl_controller.base.units import Count, Number, Radians, Seconds, Unit
from mbrl_controller.planning.risk import Risk

DelayKind = Literal["none", "given", "measured"]
MAX_DELAY_S = 2.0  # what is older than this is stale and not late

RENAMED = {"goal_lead": "max_goal_lead"}  # old names of ControllerConfig's options
# Options of ControllerConfig that nothing but a planner heeds.
OF_PLANNING = frozenset(
    {"risk", "drop_cost", "fallback", "terminal", "value_pessimism", "reward", "reward_pessimism", "replan_every"}
    | {"feedback", "feedback_rate"}
)
# Some of ControllerConfig's options by name.
ControllerOverrides = Annotated[
    dict[str, Any],
    BeforeValidator(lambda given: with_new_names(given, RENAMED, "core ") if isinstance(given, dict) else given),
]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ControllerConfig(_Options):
    """What the controller plans for: risk, costs, goal and delay."""

    _new_names = renamed_fields(RENAMED)

    risk: Risk = Risk()
    drop_cost: Annotated[float, Unit("reward per control period")] = Field(
        default=20.0, ge=0, description="cost per step, from the first predicted drop to the end of the plan"
    )
    max_goal_lead: Radians = Field(
        default=0.0,
        ge=0,
        lt=np.pi,
        description="maximum phase lead of a time-driven goal over the objects, as seen by the planner; 0 disables",
    )
    fallback: Literal["auto", "previous_plan", "policy"] = Field(
        default="auto",
        description="acts when a plan is late or fails: the plan before, or the version's policy; auto: the policy if "
        "there is one",
    )
    terminal: Literal["none", "value"] = Field(
        default="none", description="what counts behind the horizon: nothing, or the version's value of the last state"
    )
    value_pessimism: Number = Field(
        default=1.0, ge=0, le=100, description="standard deviations over its members that are subtracted from the value"
    )
    reward: Literal["task", "learned"] = Field(
        default="task",
        description="what a plan's steps are worth: the task's reward and drop rule, or the version's learned reward",
    )
    reward_pessimism: Number = Field(
        default=1.0,
        ge=0,
        le=100,
        description="standard deviations over its members that are subtracted from the learned reward",
    )
    replan_every: Annotated[int, Unit("control periods")] = Field(
        default=1,
        ge=1,
        le=200,
        description="from one plan to the next; between them the plan is followed, as far as it goes; 1: closed loop",
    )
    feedback: bool = Field(
        default=False,
        description="correct the command between ticks by the plan's feedback gains and the newest state; needs a "
        "planner that has gains (ilqr)",
    )
    feedback_rate: Annotated[float, Unit("Hz")] = Field(
        default=50.0, ge=1, le=1000, description="how often the feedback looks for a newer state between ticks"
    )
    delay: DelayKind = Field(
        default="measured",
        description="delay bridged by replaying sent commands: none; given: delay_s alone; measured: delay_s, the "
        "state's age and the planning time",
    )
    delay_s: Seconds = Field(default=0.0, ge=0, le=MAX_DELAY_S, description="time from a command to its effect")


class SafetyConfig(_Options):
    """When the controller holds, and how fast a command may change."""

    max_late_plans: Count = Field(default=3, ge=1, description="late plans in a row before holding")
    check_disagreement: bool = Field(default=True, description="hold above the model's disagreement limit")
    max_disagreeing_plans: Count = Field(default=3, ge=1, description="plans above the limit in a row before holding")
    # The rate limit counts from the measured position. While a joint is between where it was and its last command, that
    # limit alone allows a command to change by twice what max_rate allows in a period.
    max_jump: Annotated[float, Unit("max_rate times the control period")] = Field(
        default=2.0, ge=0.1, le=10, description="largest change from one command to the next"
    )
    safe_speed: Number = Field(
        default=0.5, gt=0, le=1, description="speed of the way to the neutral pose, as a share of max_rate"
    )
    ramp_s: Seconds = Field(
        default=0.5, ge=0, le=10, description="time to reach full speed after a start or a hold; 0 disables"
    )
    frozen_periods: Annotated[int, Unit("control periods")] = Field(
        default=1, ge=0, description="hold when a joint source repeats its values for this long under moving commands; "
        "0: never"
    )  # fmt: skip
    frozen_object_periods: Annotated[int, Unit("control periods")] = Field(
        default=0, ge=0, description="the same for sources of objects; only for objects that cannot rest; 0: never"
    )


class SessionConfig(_Options):
    """How episodes begin and end, their goals, and exploration."""

    seed: Count = Field(default=0, ge=0, description="seed of plans, sampled goals and exploration noise")
    episode_s: Seconds = Field(default=0.0, ge=0, description="maximum duration of an episode; 0: none")
    auto_reset: bool = Field(default=False, description="begin a new episode after a drop or time-out")
    goal_options: dict[str, Any] = Field(default_factory=dict, description="fixed options of the sampled goal")
    exploration_noise: Number = Field(
        default=0.0, ge=0, le=1, description="standard deviation of the noise added to the normalised action (-1 to 1)"
    )
    noise_smoothing: Number = Field(
        default=0.6, gt=0, le=1, description="smoothing of the exploration noise: 1 is white, small is smooth"
    )
