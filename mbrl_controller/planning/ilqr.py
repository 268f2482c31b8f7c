# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""iLQR: improves one plan along the linearised dynamics, and knows how to correct it while it is followed.

Li and Todorov, "Iterative Linear Quadratic Regulator Design", ICINCO 2004, with the limits of actions as in Tassa et
al. 2014 (backward_pass.py). Each iteration linearises about the plan, and takes the step along the result that the
objective itself finds best. The local model only proposes: risk, the exact cost of a drop and the value behind the
horizon decide.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.units import Count, Number
from mbrl_controller.planning.backward_pass import action_gradient, backward_pass, followed, tracking_gains
from mbrl_controller.planning.base import Planner, PlannerConfig, PlannerState, PlanResult, finite_returns, shift
from mbrl_controller.planning.local_model import Linearisable, LocalModel
from mbrl_controller.planning.proposals import Candidates, Objective, proposals_of
from mbrl_controller.planning.throughput import ThroughputEstimator
from mbrl_controller.tasks.spaces import Array

SHARES = 0.5 ** np.arange(6.0)  # of a change, tried at once
RAISE, LOWER = 10.0, 0.3  # the regularisation after a step that failed, and after one that was whole
FIRST_GUESS = 10.0  # times what it took to judge the first plans: the first iteration, before any was measured
SMALLEST_SLOPE = 1e-9
EFFORT = 1.0  # per squared action, of what `tracking` is measured in
LEAST, MOST = 1e-6, 1e6  # regularisation, of the gradient's size


class IlqrConfig(PlannerConfig):
    """Options of iLQR."""

    iterations: Count = Field(default=4, ge=1, le=50, description="iterations per plan, as far as the deadline allows")
    regularisation: Number = Field(
        default=1.0,
        gt=0,
        le=1e3,
        description="of the first iteration, over the cost's gradient: the larger, the smaller the first change",
    )
    tracking: Number = Field(
        default=1.0, ge=0, le=1e6, description="weight of staying on the plan in the feedback gains"
    )

    @property
    def batch(self) -> int:
        """The shares of a change that are judged at once."""
        return len(SHARES)

    @property
    def uses_proposals(self) -> bool:
        """A policy's proposal is one of the plans to begin from."""
        return True


@dataclass
class _Best:
    """The best plan so far."""

    actions: Array  # [H, A]
    value: float = -np.inf  # its return
    local: LocalModel | None = None  # about it, or about the one before


class IlqrPlanner(Planner):
    """Begins from the best of the shifted plan, the last action held, the neutral pose and what a policy proposes."""

    name = "ilqr"
    config_type = IlqrConfig
    config: IlqrConfig
    linearises = gives_gains = True

    def __init__(self, action_size: int, config: PlannerConfig) -> None:
        super().__init__(action_size, config)
        self._pace = ThroughputEstimator()  # of whole iterations

    def plan(
        self, objective: Objective, state: PlannerState, deadline: float | None = None
    ) -> tuple[PlanResult, PlannerState]:
        """A plan for now. With a `deadline` (time.monotonic, s) a further iteration begins only if it should end in
        time by what earlier ones took; the plans to begin from are judged in any case."""
        if not isinstance(objective, Linearisable):
            raise MbrlError(f"planner {self.name}: the objective has no local model (`linearised`); choose another")
        self._check_shape(state)
        began, starts = time.monotonic(), self._starts(objective, state)
        best = _Best(state.mean)
        improved, evaluated = self._judge(objective, starts, best), len(starts)
        guess = FIRST_GUESS * (time.monotonic() - began)
        done, regularisation = 0, self.config.regularisation
        valid = improved is not None
        self._pace.learn()
        while valid and done < self.config.iterations and LEAST <= regularisation <= MOST:
            if deadline is not None and time.monotonic() + (self._pace.seconds(1) or guess) > deadline:
                break
            began = time.monotonic()
            if improved is not None:
                best.local = objective.linearised(best.actions)
            assert best.local is not None
            plans = self._changed(best.local, regularisation)
            improved = self._judge(objective, plans, best)
            evaluated += len(plans)
            done += 1
            self._pace.add(1, time.monotonic() - began)
            if improved is None:
                regularisation *= RAISE
            elif improved == 0:
                regularisation *= LOWER
        result = PlanResult(
            actions=best.actions.copy(),
            predicted_return=best.value,
            iterations=done,
            evaluated=evaluated,
            valid=valid,
            gains=None if best.local is None else self._gains(best.local),
        )
        return result, PlannerState(shift(best.actions), best.actions[0].copy(), state.seed, state.tick + 1)

    def _starts(self, objective: Objective, state: PlannerState) -> Candidates:
        """Plans [N, H, A] to begin from; the shifted plan first."""
        held = np.broadcast_to(state.last_action, state.mean.shape)
        plans = [state.mean, held, np.zeros_like(state.mean)]
        proposals = proposals_of(objective, state.mean.shape)
        if proposals is not None:
            plans.extend(proposals)
        starts: Candidates = np.clip(plans, -1.0, 1.0).astype(np.float32)
        return starts

    def _changed(self, local: LocalModel, regularisation: float) -> Candidates:
        """Plans [N, H, A] that take shares of the change."""
        policy = backward_pass(local, regularisation * _slope(local))
        plans: Candidates = followed(local, policy, SHARES).astype(np.float32)
        return plans

    def _gains(self, local: LocalModel) -> Array:
        """Feedback gains [H, A, S] along the plan."""
        return tracking_gains(local, self.config.tracking * _slope(local), EFFORT * _slope(local))

    @staticmethod
    def _judge(objective: Objective, plans: Candidates, best: _Best) -> int | None:
        """Keep the best of `plans` [N, H, A] if it is better than `best`; its index, or None."""
        returns = finite_returns(objective(plans))
        winner = int(np.argmax(returns))
        if not returns[winner] > best.value:
            return None
        best.actions, best.value = plans[winner].astype(float), float(returns[winner])
        return winner


def _slope(local: LocalModel) -> float:
    """Root mean square of the cost's derivative by the actions: what regularisation is measured in, so that it does not
    depend on the reward's scale."""
    return max(float(np.sqrt(np.mean(action_gradient(local) ** 2))), SMALLEST_SLOPE)
