# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The base of all planners. A planner sees an objective (candidates [N, H, A] -> returns [N]), never a model or task.

Actions are normalised to [-1, 1]. A planner's memory is an explicit `PlannerState`; a reset starts from a new
one. Without a deadline the same state and objective give the same plan to the bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mbrl_controller.base.deprecated import renamed_fields, with_new_names
from mbrl_controller.base.units import Unit
from mbrl_controller.planning.proposals import Candidates as Candidates
from mbrl_controller.planning.proposals import Objective as Objective
from mbrl_controller.planning.throughput import ThroughputEstimator
from mbrl_controller.tasks.spaces import Array

RENAMED = {  # old names of options, of all planners
    "candidates": "num_samples",
    "decay": "population_decay",
    "kept": "num_elites_kept",
    "execute": "output",
    "kappa": "inverse_temperature",
    "effective": "ess_fraction",
    "filter": "filter_variant",
    "calm_fraction": "low_noise_fraction",
}
# Options of some planner by name, in a configuration that does not know which planner.
PlannerOptions = Annotated[
    dict[str, Any],
    BeforeValidator(lambda given: with_new_names(given, RENAMED, "planner ") if isinstance(given, dict) else given),
]


class PlannerConfig(BaseModel):
    """Options of all planners; each planner adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    _new_names = renamed_fields(RENAMED)

    horizon: Annotated[int, Unit("control periods")] = Field(
        default=7, ge=1, le=200, description="control steps that the planner looks ahead (H)"
    )

    @property
    def batch(self) -> int:
        """Candidates that the objective is given at once, at most: at this size a model is tried and warmed up."""
        return 1

    @property
    def uses_proposals(self) -> bool:
        """Whether the objective's proposals are looked at."""
        return False


@dataclass(frozen=True)
class PlannerState:
    """A planner's memory from one plan to the next."""

    mean: Array  # [H, A], already shifted to the time of the next plan
    last_action: Array  # [A], executed last
    seed: int
    tick: int = 0  # control steps so far; seeds the next plan's random numbers together with `seed`
    elites: Array | None = None  # [K, H, A], best candidates of the last plan, shifted like the mean

    def rng(self) -> np.random.Generator:
        """The random numbers of the next plan."""
        return np.random.Generator(np.random.Philox(key=np.array([self.seed % 2**64, self.tick], np.uint64)))

    def executed(self, action: Array) -> PlannerState:
        """The state after `action` [A] was executed instead of the plan's first action (limits, hand-over)."""
        return replace(self, last_action=np.clip(np.asarray(action, dtype=float), -1.0, 1.0))

    def skipped(self) -> PlannerState:
        """The state one control step later, after a step without a new plan."""
        elites = None if self.elites is None else shift(self.elites)
        return replace(self, mean=shift(self.mean), elites=elites, tick=self.tick + 1)


@dataclass(frozen=True)
class PlanResult:
    """A plan and how it was found."""

    actions: Array  # [H, A]; actions[0] is for now
    predicted_return: float
    iterations: int
    evaluated: int  # candidates
    valid: bool  # False: no candidate had a finite return; the plan is the shifted previous one
    # [H, A, S], by how much an action (normalised) is to change with the state on the way; None: the planner knows none
    gains: Array | None = None


class Planner(ABC):
    """What every planner promises: a plan for now, and a memory for the next control step."""

    name: ClassVar[str]
    config_type: ClassVar[type[PlannerConfig]]
    needs_model: ClassVar[bool] = True  # False: it plans without asking its objective
    needs_gradients: ClassVar[bool] = False  # True: it asks its objective for them (planning/gradients.py)
    linearises: ClassVar[bool] = False  # True: its objective must have `linearised` (planning/local_model.py)
    gives_gains: ClassVar[bool] = False  # True: its plans have feedback gains

    def __init__(self, action_size: int, config: PlannerConfig) -> None:
        self.action_size = action_size
        self.config: Any = config
        self.throughput = ThroughputEstimator()

    def initial_state(self, seed: int = 0, last_action: Array | None = None) -> PlannerState:
        """A new memory: a neutral mean, and `last_action` [A], the hand's position (default: neutral)."""
        last = np.zeros(self.action_size) if last_action is None else np.clip(last_action, -1.0, 1.0)
        return PlannerState(np.zeros((self.config.horizon, self.action_size)), last, seed)

    @abstractmethod
    def plan(
        self, objective: Objective, state: PlannerState, deadline: float | None = None
    ) -> tuple[PlanResult, PlannerState]:
        """A plan for now, and the memory for the next control step.

        Without `deadline` (time.monotonic, s) it does all that its options ask for. With one, it ends in time with the
        best found so far; it evaluates something in any case.
        """

    def _check_shape(self, state: PlannerState) -> None:
        if state.mean.shape != (self.config.horizon, self.action_size):
            raise ValueError(
                f"planner state has mean {state.mean.shape}, expected "
                f"({self.config.horizon}, {self.action_size}); start from initial_state()"
            )


def __getattr__(name: str) -> Any:
    if name == "Search":  # up to 0.2 this file was also the base of the planners that sample
        raise ImportError(
            f"{name} is now in mbrl_controller.planning.sampling, as is SamplingPlanner, the base to take"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def finite_returns(returns: Array) -> Array:
    """Returns [N] with -inf for NaN and both infinities, so that such a candidate never wins."""
    returns = np.asarray(returns, dtype=float)
    return np.where(np.isfinite(returns), returns, -np.inf)


def shift(actions: Array) -> Array:
    """Plans [..., H, A] one control step later; the last step is repeated."""
    return np.concatenate([actions[..., 1:, :], actions[..., -1:, :]], axis=-2)
