# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where a tick's command comes from: the new plan, the policy in its place, or the rest of the plan before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.feedback import PlanFeedback
from mbrl_controller.control.steps import ControlModel, PlanRequest, Solution
from mbrl_controller.planning.base import PlannerState
from mbrl_controller.tasks.spaces import Array

# The reason that a person reads, by the source of a solution.
_DOING = {"plan": "planning", "policy": "the policy acts", "previous_plan": "following the plan"}


@dataclass(frozen=True)
class Choice:
    """What is to be followed, or why nothing may be."""

    source: str = ""  # plan, policy, previous_plan
    reason: str = ""  # for the safety state
    targets: Array | None = None  # [H, A] rad, from now on
    planner_state: PlannerState | None = None
    solution: Solution | None = None  # the plan, or what the policy does instead
    problem: str = ""  # why the hand must be held, before anything else is looked at
    lacking: str = ""  # why it must be held if nothing else is wrong


class CommandSource:
    """Keeps the plan in force, and counts what goes wrong with plans in a row."""

    def __init__(self, planner_state: PlannerState) -> None:
        self.begin(planner_state)

    def begin(self, planner_state: PlannerState) -> None:
        """Forget everything planned."""
        self.planner_state = planner_state
        self.targets: Array | None = None  # the rest of the last plan
        self.feedback: PlanFeedback | None = None  # of the plan in force
        self._followed = 0  # commands taken from it
        self._late = 0  # plans
        self._blind = 0  # plans late, and nothing from the policy that the model had looked at
        self._failed = 0  # plans without a result
        self._disagreeing = 0

    def drop_plan(self) -> None:
        """The plan in force must not be continued."""
        self.targets = self.feedback = None

    def rest(self, replan_every: int) -> Array | None:
        """What is left [h, A] (rad) of the plan in force, if it is to be followed once more; None: it is time to plan.

        Args:
            replan_every: control steps from one plan to the next.
        """
        if self.targets is None or len(self.targets) < 2 or self._followed >= replan_every:
            return None
        following: Array = self.targets[1:]
        return following

    def may_replace(self, request: PlanRequest, limits: SafetyConfig) -> bool:
        """Whether the policy may act once more although the planner raised an exception."""
        return request.instead.solution is not None and self._failed + 1 < limits.max_late_plans

    def choose(
        self, request: PlanRequest, solution: Solution | None, model: ControlModel, limits: SafetyConfig, failure: str
    ) -> Choice:
        """Count what happened to the plan, and say what to follow; `follow` then does.

        Args:
            request: what was asked.
            solution: None if it is late, or failed.
            model: the one that is served now; its limit counts.
            limits: how many in a row.
            failure: what the planner raised; empty if it did not.
        """
        late = solution is None and not failure
        self._late = self._late + 1 if late else 0
        if solution is not None and solution.plan.valid and np.isfinite(solution.targets).all():
            self._blind = self._failed = 0
            problem = self._disagreement(solution, model, limits)
            return Choice(
                solution.source,
                _DOING[solution.source],
                solution.targets,
                solution.planner_state,
                solution,
                problem=problem,
            )
        self._failed = 0 if late else self._failed + 1
        instead = request.instead.solution
        self._blind = self._blind + 1 if late and instead is None else 0
        if late:
            why = f"planner late ({self._late} in a row)"
        else:
            why = failure or _unusable(solution)
            if instead is None or self._failed >= limits.max_late_plans:
                return Choice(problem=why)
        if instead is not None:
            problem = self._disagreement(instead, model, limits)
            after = replace(self.planner_state.skipped(), mean=instead.planner_state.mean)
            return Choice("policy", f"{why}: the policy acts", instead.targets, after, instead, problem=problem)
        if self._blind >= limits.max_late_plans:
            return Choice(problem=f"planner late {self._late} times in a row")
        if self.targets is None or len(self.targets) < 2:
            return Choice(lacking="planner late and no plan left")
        return Choice("previous_plan", why, self.targets[1:], self.planner_state.skipped())

    def follow(self, choice: Choice) -> Array:
        """The plan in force is the chosen one now; its first targets [A]."""
        assert choice.targets is not None
        assert choice.planner_state is not None
        self._followed = self._followed + 1 if choice.source == "previous_plan" else 1
        if choice.source == "previous_plan":
            self.feedback = self.feedback.advanced() if self.feedback is not None else None
        else:
            self.feedback = choice.solution.feedback if choice.solution is not None else None
        self.targets, self.planner_state = choice.targets, choice.planner_state
        first: Array = choice.targets[0]
        return first

    def executed(self, action: Array) -> None:
        """The normalised `action` [A] was executed instead of the plan's."""
        self.planner_state = self.planner_state.executed(action)

    def _disagreement(self, solution: Solution, model: ControlModel, limits: SafetyConfig) -> str:
        """Why it must not be followed, if the model's members have disagreed on it for too long."""
        limit = model.disagreement_limit
        if not limits.check_disagreement or limit is None or not solution.disagreement > limit:
            self._disagreeing = 0
            return ""
        self._disagreeing += 1
        if self._disagreeing < limits.max_disagreeing_plans:
            return ""
        where = f", {solution.leading}" if solution.leading else ""
        return f"the ensemble disagrees: {solution.disagreement:.3g} above {limit:.3g}{where}"


def _unusable(solution: Solution | None) -> str:
    if solution is not None and solution.source == "policy":
        return "the policy's plan has non-finite entries"
    return "no candidate had a finite return"
