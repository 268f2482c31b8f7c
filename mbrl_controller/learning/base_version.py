# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The version that a run may start from, instead of from nothing, and what it knew before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mbrl_controller.learning.collection import MAX_BEHAVIOURS, CollectionConfig

BASE_NAME = "v0000"  # of the version in the run's registry; round 1 trains v0001


class BaseVersion(BaseModel):
    """A version of another hand, or of this one before. Its episodes are old data, those of the run are new data."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: str = Field(default="", description="its name in your models; empty: the run learns from nothing")
    models_dir: Path | None = Field(default=None, description="the registry that holds it; none: yours")
    model_sha256: str = Field(default="", description="digest of its model, which the plan notes")
    old_episodes: tuple[Path, ...] = Field(
        default=(), description="folders of the episodes that it was trained on, where they exist"
    )
    rehearsal: tuple[CollectionConfig, ...] = Field(
        default=(),
        max_length=MAX_BEHAVIOURS,
        description="episodes that it runs first, in the world of `rehearsal_sim`, as more old data; they cost no "
        "experience of this hand",
    )
    rehearsal_sim: str = Field(default="nominal", description="the simulated hand that it was made for")
    rehearsal_sim_options: dict[str, Any] = Field(
        default_factory=dict, description="options that override those of `rehearsal_sim`"
    )
    old_weight: float = Field(
        default=1.0, gt=0, le=100, description="weight of an old transition in training; a new one has 1"
    )

    @model_validator(mode="after")
    def _needs_a_version(self) -> BaseVersion:
        if not self.version and (self.old_episodes or any(b.episodes for b in self.rehearsal)):
            raise ValueError("old data belongs to a version: give `version`, too (--from-version)")
        names = [behaviour.name for behaviour in self.rehearsal]
        if len(set(names)) < len(names):
            raise ValueError(f"rehearsal: names must differ, got {', '.join(names)}")
        return self
