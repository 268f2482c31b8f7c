# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The data of one control step, in order: Observation, PlanRequest, Solution, Tick, Step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.delay import Delay, Replay
from mbrl_controller.control.doubt import Doubt
from mbrl_controller.control.feedback import PlanFeedback
from mbrl_controller.control.heads import Acting, UsedHeads
from mbrl_controller.control.standing import SafetyState
from mbrl_controller.models.heads import PolicyHead
from mbrl_controller.planning.base import Planner, PlannerState, PlanResult
from mbrl_controller.planning.objective import RolloutModel
from mbrl_controller.tasks.spaces import Array


class ControlModel(RolloutModel, Protocol):
    """A rollout model with the identity the controller reports. It may have heads: `policy`, `value` and
    `reward` (control/heads.py), and `joint` and `action_free`, which only watch (control/watching.py)."""

    @property
    def version(self) -> str: ...

    @property
    def delta_scale(self) -> Array | None:
        """Standard deviation of one step's change [S] in the training data; None: disagreement is not defined."""
        ...

    @property
    def disagreement_limit(self) -> float | None: ...


class NoModel:
    """In place of a model, for a planner that needs none, or of a version that has only a policy."""

    delta_scale: Array | None = None
    disagreement_limit: float | None = None
    predicts = False

    def __init__(self, version: str = "", policy: PolicyHead | None = None) -> None:
        self.version, self.policy = version, policy

    def rollout(self, state: Array, actions: Array) -> Array:
        """Raises RuntimeError: nothing is predicted."""
        raise RuntimeError("there is no model that could predict")


@dataclass(frozen=True)
class Observation:
    """A state [S], when its oldest entry was measured (s, the sources' clock), and how much newer each entry is."""

    state: Array
    stamp: float
    newer: float | Array = 0.0  # s, of all entries or of each [S]


class Instead:
    """What the policy does, should the plan be late or fail. The thread that plans puts it here before it searches; the
    tick looks for it when the time is up."""

    solution: Solution | None = None


@dataclass(frozen=True)
class PlanRequest:
    """Everything that `solve` needs, frozen at one moment."""

    observation: Observation
    delay: Delay  # from the observation to the effect of the command asked for
    replay: Replay  # the commands in force meanwhile
    goals: Array  # [L, G] at the ends of the planned steps, and further ahead if a head looks there
    planner_state: PlannerState
    model: ControlModel
    planner: Planner
    config: ControllerConfig
    epoch: int
    sequence: int
    acting: Acting = "controller"
    heads: UsedHeads = field(default_factory=UsedHeads)
    instead: Instead = field(default_factory=Instead)
    rest: Array | None = None  # [h, A] rad, of the plan in force, if it is followed instead of planning anew


@dataclass(frozen=True)
class Solution:
    """A plan for a request."""

    plan: PlanResult
    planner_state: PlannerState
    targets: Array  # [H, A] joint targets, rad
    disagreement: float  # NaN where the model defines none
    model_version: str
    duration: float  # s
    leading: str = ""  # on what the members disagree most, in words, if it is an orientation
    source: str = "plan"  # or policy, or previous_plan where the plan in force is followed
    network_evaluations: int = 0  # as NetworkCount counts them
    feedback: PlanFeedback | None = None  # None: not asked for, or the plan has none
    policy_duration: float = float("nan")  # s in the policy's network; NaN where it was not asked
    novelty: float = float("nan")  # of the predicted first step, as a `joint` density has it; NaN without one


@dataclass(frozen=True)
class Tick:
    """The core's result of one control step: a command or none, and why."""

    command: Array | None  # [A] joint targets, rad; None: send nothing
    source: str  # plan, policy, previous_plan, safe, none; feedback where it corrects a tick's command
    state: SafetyState
    reason: str
    epoch: int
    sequence: int
    request: PlanRequest | None = None
    solution: Solution | None = None
    # For drivers that follow a plan by themselves:
    following: Array | None = None  # [n, A] rad, for the periods after the command
    stop_at: Array | None = None  # [A] rad; without a command, the point at which to leave the plan


@dataclass(frozen=True)
class EpisodeEvent:
    """An episode begins or ends. `reason` of an end: drop, timeout, reset, deactivate, stop, hand-over, the clock went
    back."""

    event: str
    episode: int
    epoch: int
    stamp: float  # s
    reason: str
    model_version: str


@dataclass(frozen=True)
class Step:
    """Result of one control step: the tick and its episode."""

    stamp: float  # s, the tick's time
    tick: Tick
    episode: int
    episode_time: float  # s; NaN outside of an episode
    observation: Observation | None = None
    goal: Array | None = None  # [G]
    reward: float = float("nan")
    dropped: bool = False
    events: tuple[EpisodeEvent, ...] = ()
    repeated: bool = False  # the same state arrived again: its command is sent again
    doubt: Doubt = Doubt.NONE  # why the log of this tick must not be used for training

    def answers(self, observation: Observation) -> bool:
        """Whether the command was made for this very measurement."""
        made_for = self.observation
        return self.tick.command is not None and made_for is not None and made_for.stamp == observation.stamp
