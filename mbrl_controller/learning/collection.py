# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How some of a round's episodes are collected."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.deprecated import renamed_fields
from mbrl_controller.control.config import ControllerOverrides
from mbrl_controller.planning.base import PlannerOptions

MAX_BEHAVIOURS = 10
MAX_EPISODES = 1_000  # of a behaviour in a round: as many seeds are set aside for it
COLLECTION_RENAMED = {"from_points": "from_env_steps"}  # old names of options


class CollectionConfig(BaseModel):
    """How some of a round's episodes are collected. A model must learn from a mix. Evaluation uses none of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    _new_names = renamed_fields(COLLECTION_RENAMED)

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="ends the names of its folders: r003-<name>")
    episodes: int = Field(ge=0, le=MAX_EPISODES, description="per round; 0: none")
    seconds: float | None = Field(default=None, gt=0, description="length, s; None: the task's")
    planner: PlannerOptions = Field(default_factory=dict, description="options that override the plan's `planner`")
    core: ControllerOverrides = Field(default_factory=dict, description="options that override the plan's `core`")
    exploration: float = Field(
        default=0.0, ge=0, le=1, description="standard deviation of noise on the action, normalised"
    )
    goal: dict[str, Any] = Field(default_factory=dict, description="fixed options of its goals")
    start_turn: float = Field(
        default=0.0, ge=0, le=3.15, description="largest angle by which circling objects start turned, rad"
    )
    from_env_steps: int = Field(default=0, ge=0, description="control steps of experience before it begins")

    @property
    def goal_options(self) -> dict[str, Any]:
        """Fixed options of its goals. If objects start turned, the targets begin there, not ahead of them."""
        return {"phase": "observed", **self.goal} if self.start_turn else self.goal

    @property
    def sim_options(self) -> dict[str, Any]:
        """Options that override the plan's simulated hand."""
        return {"start_turn": self.start_turn} if self.start_turn else {}


PLAIN_AND_EXPLORE = (
    CollectionConfig(name="plain", episodes=20),
    CollectionConfig(name="explore", episodes=20, exploration=0.1),
)
