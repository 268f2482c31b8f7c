# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One of the ways to act in which a round collects: what a model learns from must be a mix of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.planning.base import PlannerOptions

MOST_EPISODES = 1_000  # of a behaviour in a round: so many seeds are set aside for it


class Behaviour(BaseModel):
    """Some of a round's episodes, all of one kind. Evaluation has nothing of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="ends the names of its folders: r003-<name>")
    episodes: int = Field(ge=0, le=MOST_EPISODES, description="in a round; 0: none")
    seconds: float | None = Field(default=None, gt=0, description="their length, s; None: the task's")
    planner: PlannerOptions = Field(default_factory=dict, description="options above the plan's own `planner`")
    core: dict[str, Any] = Field(default_factory=dict, description="options above the plan's own `core`")
    exploration: float = Field(default=0.0, ge=0, le=1, description="deviation of noise added, normalised actions")
    goal: dict[str, Any] = Field(default_factory=dict, description="fixed of its goals")
    start_turn: float = Field(default=0.0, ge=0, le=3.15, description="balls start turned by up to so much, rad")
    from_points: int = Field(default=0, ge=0, description="collected from so much experience on")

    @property
    def goal_options(self) -> dict[str, Any]:
        """What is fixed of its goals. Where balls start turned the targets begin at them: else they would have to be
        caught first."""
        return {"phase": "observed", **self.goal} if self.start_turn else self.goal

    @property
    def sim_options(self) -> dict[str, Any]:
        """What differs from the plan's simulated hand."""
        return {"start_turn": self.start_turn} if self.start_turn else {}
