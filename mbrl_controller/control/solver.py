# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One plan in the making: the heavy part of a tick. It touches nothing but its request, so it may run on any thread."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

import numpy as np

from mbrl_controller.control.delay import predict
from mbrl_controller.control.feedback import PlanFeedback, plan_feedback
from mbrl_controller.control.network_count import CountedModel, NetworkCount
from mbrl_controller.control.plan_objective import plan_objective
from mbrl_controller.control.steps import PlanRequest, Solution
from mbrl_controller.control.watching import novelty
from mbrl_controller.models.disagreement import disagreement, leading_orientation
from mbrl_controller.planning.base import PlannerState, PlanResult, shift
from mbrl_controller.planning.proposals import with_horizon
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array

PROPOSED = 3  # answers of an inverse model, at most


def solve(request: PlanRequest, task: Task, action: ActionSpace, deadline: float | None) -> Solution:
    """A plan from the state predicted for the moment at which the command acts.

    Where the policy replaces what is late, its command is on the request first, checked as a plan is.

    Args:
        request: from the core's `prepare`.
        task: what is asked.
        action: of the contract.
        deadline: s, time.monotonic, until which the planner may refine; None: no limit, so nothing will be late.
    """
    solver = _Solver(request, task, action)
    if request.acting == "distilled":
        return solver.policy_solution()
    if request.rest is not None:
        return solver.continued(request.rest)
    if deadline is not None:
        solver.offer_policy()
    try:
        solution = solver.searched(deadline)
    except Exception:
        with suppress(Exception):  # what the planner raised is what is wrong
            solver.offer_policy()
        raise
    if not solution.plan.valid:
        solver.offer_policy()
    return solution


def answer_for_late(request: PlanRequest, task: Task, action: ActionSpace) -> None:
    """Only what `solve` does before it searches, for a plan that is to be late on purpose."""
    if request.acting != "distilled":
        _Solver(request, task, action).offer_policy()


class _Solver:
    def __init__(self, request: PlanRequest, task: Task, action: ActionSpace) -> None:
        self._began = time.monotonic()
        self._request, self._task, self._action = request, task, action
        self._count = NetworkCount()
        self._model = CountedModel(request.model, self._count)
        self._state = predict(self._model, task.state, request.observation.state, request.replay)
        self._policy_plan: Array | None = None
        self._policy_took = np.nan

    def searched(self, deadline: float | None) -> Solution:
        """What the planner finds."""
        request, heads = self._request, self._request.heads
        horizon = len(request.planner_state.mean)
        offered = [self._plan_of_policy()[None]] if heads.proposes else []
        offered += self._towards_goal(horizon)
        objective = plan_objective(
            request.model,
            heads,
            request.config,
            self._count,
            task=self._task,
            action=self._action,
            state=self._state,
            goals=request.goals,
            horizon=horizon,
            proposals=np.concatenate(offered).astype(np.float32) if offered else None,
        )
        plan, planner_state = request.planner.plan(objective, request.planner_state, deadline)
        return replace(self._solution(plan, planner_state, "plan"), feedback=self._feedback(plan))

    def _towards_goal(self, horizon: int) -> list[Array]:
        """What the inverse models propose: the actions [K, H, A] of their likeliest answers to where the goal aims."""
        found = []
        for head in self._request.heads.inverse:
            goal = self._request.goals[min(head.steps, len(self._request.goals)) - 1]
            aim = self._task.aimed(self._state, goal)
            if aim is None:
                continue
            self._count.evaluations += head.spec.members
            answers = head.answer(self._state[None], aim[None]).likeliest(PROPOSED)[0]
            actions = np.clip(self._action.to_normalised(answers), -1.0, 1.0)
            found.append(np.stack([with_horizon(plan, horizon) for plan in actions]))
        return found

    def _feedback(self, plan: PlanResult) -> PlanFeedback | None:
        """The plan's feedback about the states that the mean of the members predicts."""
        request, gains = self._request, plan.gains
        if not request.config.feedback or gains is None or not np.isfinite(gains).all():
            return None
        after = self._model.rollout(self._state, self._action.to_target(plan.actions)[None])[:, 0].mean(0)
        states, observation = np.concatenate([self._state[None], after]), request.observation
        return plan_feedback(
            gains,
            self._task.state,
            observation.state,
            observation.stamp,
            observation.stamp + request.delay.total,
            states,
            self._action.period,
        )

    def continued(self, rest: Array) -> Solution:
        """The plan in force once more, from its next step on [h, A] (rad); the model looks at it as at a new one."""
        plan = PlanResult(
            self._action.to_normalised(rest), predicted_return=np.nan, iterations=0, evaluated=0, valid=True
        )
        return self._solution(plan, self._request.planner_state.skipped(), "previous_plan")

    def policy_solution(self) -> Solution:
        """What the policy does."""
        before, actions = self._request.planner_state, self._plan_of_policy()
        finite = bool(np.isfinite(actions).all())
        plan = PlanResult(actions, predicted_return=np.nan, iterations=0, evaluated=0, valid=finite)
        after = PlannerState(shift(actions), actions[0].copy(), before.seed, before.tick + 1)
        return self._solution(plan, after, "policy")

    def offer_policy(self) -> None:
        """Put the policy's command on the request, unless it is there, not asked for, or cannot be judged: what the
        model predicts of it must be finite."""
        request = self._request
        if not request.heads.replaces or request.instead.solution is not None:
            return
        solution = self.policy_solution()
        judged = request.model.delta_scale is None or np.isfinite(solution.disagreement)
        if solution.plan.valid and judged:
            request.instead.solution = solution

    def _plan_of_policy(self) -> Array:
        """The policy's actions [H, A]."""
        if self._policy_plan is None:
            policy, horizon = self._request.heads.policy, len(self._request.planner_state.mean)
            assert policy is not None
            self._count.evaluations += 1
            began = time.monotonic()
            plan = policy.plan(self._state, self._request.goals)
            self._policy_took = time.monotonic() - began
            self._policy_plan = with_horizon(plan, horizon).astype(float)
        return self._policy_plan

    def _solution(self, plan: PlanResult, planner_state: PlannerState, source: str) -> Solution:
        model, targets = self._request.model, self._action.to_target(plan.actions)
        spread, leading, new = np.nan, "", np.nan
        if model.delta_scale is not None:
            first = self._model.rollout(self._state, targets[None, :1])[:, :, 0]
            spread = float(disagreement(first, model.delta_scale)[0])
            new = novelty(model, self._state, targets[0], first[:, 0].mean(0))
            limit = model.disagreement_limit
            if limit is not None and spread > limit:
                leading = leading_orientation(first[:, 0], model.delta_scale, self._task.state)
        took = time.monotonic() - self._began
        return Solution(
            plan,
            planner_state,
            targets,
            spread,
            model.version,
            took,
            leading,
            source=source,
            network_evaluations=self._count.evaluations,
            policy_duration=self._policy_took,
            novelty=new,
        )
