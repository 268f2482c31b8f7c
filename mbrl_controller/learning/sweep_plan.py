# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a sweep searches: options with the names of a learning plan, each in a range or among choices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.grid_plan import (
    SEARCH_SEEDS,
    Evaluation,
    Source,
    StrictModel,
    arm_plan,
    parse_source,
    read_mapping,
    with_paths,
)
from mbrl_controller.models.spec import describe_validation


class Range(StrictModel):
    """Numbers from `low` to `high`; whole ones if both ends are."""

    low: int | float
    high: int | float
    log: bool = False  # evenly over orders of magnitude

    @model_validator(mode="after")
    def _is_one(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low above 0, got {self.low:g}")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Choices(StrictModel):
    """Any values."""

    values: tuple[Any, ...] = Field(min_length=2, max_length=100)


class Pruning(StrictModel):
    """A trial ends early if, at the same step, it is not among the best share of the trials before it."""

    keep: float = Field(default=0.75, gt=0, le=1)  # 1: none ends early
    after: int = Field(default=4, ge=1)  # trials that are never ended


def _entry(given: object) -> object:
    """A list in the file stands for choices."""
    return {"values": given} if isinstance(given, list) else given


def _with_search_seeds(given: object) -> object:
    return {"seed": SEARCH_SEEDS, **given} if isinstance(given, Mapping) else given


class SweepPlan(StrictModel):
    """A sweep, as its YAML file has it."""

    task: str
    contract: Path | None = None
    source: Annotated[Source, BeforeValidator(parse_source)] = Field(alias="from")
    options: dict[str, Any] = Field(default_factory=dict, alias="set")  # of all trials
    search: dict[str, Annotated[Range | Choices, BeforeValidator(_entry)]] = Field(min_length=1, max_length=50)
    trials: int = Field(default=20, ge=1, le=10_000)
    batch: int = Field(default=4, ge=1, le=100)  # trials that are chosen before any of them has ended
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, max_length=100)  # of a trial's runs
    seed: int = Field(default=0, ge=0, lt=100_000)  # of the search
    evaluate: Annotated[Evaluation, BeforeValidator(_with_search_seeds)] = Evaluation(seed=SEARCH_SEEDS)
    prune: Pruning = Pruning()

    @model_validator(mode="after")
    def _repeats(self) -> SweepPlan:
        if self.source.kind == "version" and len(self.seeds) > 1:
            raise ValueError(
                "seeds: nothing is learnt from a version, so episodes alone repeat: give evaluate.episodes"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: the same seed twice is no second run")
        return self

    def learn_plan(self, chosen: Mapping[str, Any], seed: int) -> LearnPlan:
        """All options of a trial's run at `seed`; raises MbrlError for what does not exist or fit."""
        return arm_plan(self.task, self.source.kind, [self.options, dict(chosen)], seed, self.contract)


def read_sweep(path: Path, source_name: str = "") -> SweepPlan:
    """The sweep in a YAML file; paths in it are relative to the file. Raises MbrlError.

    Args:
        path: the file.
        source_name: takes the place of the path of the episodes, or of the version's name.
    """
    try:
        plan = SweepPlan.model_validate(read_mapping(path))
    except ValidationError as error:
        raise MbrlError(f"{path}: {describe_validation(error)}") from error
    source, contract = with_paths(path, plan.source, plan.contract, source_name)
    return plan.model_copy(update={"source": source, "contract": contract})
