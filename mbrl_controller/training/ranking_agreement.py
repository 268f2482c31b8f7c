# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Whether two models lead a planner to the same choices, as a quantised model must before it is served."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.planning.base import finite_returns
from mbrl_controller.planning.objective import RolloutModel, RolloutObjective
from mbrl_controller.planning.risk import Risk
from mbrl_controller.planning.sampling import SamplingPlanner
from mbrl_controller.tasks.base import Goal, Task
from mbrl_controller.tasks.spaces import ActionSpace, Array

ELITE_SHARE = 0.1


def ranking_agreement(
    reference: RolloutModel,
    other: RolloutModel,
    planner: SamplingPlanner,
    task: Task,
    action: ActionSpace,
    risk: Risk,
    drop_cost: float,
    states: Array,
    last_targets: Array,
    goals: Sequence[Goal],
    seed: int = 0,
) -> dict[str, float]:
    """How alike two models rank the planner's candidates.

    Args:
        reference: the model that defines the true ranks.
        other: the model under test.
        planner: draws the candidates.
        task: whose return is compared.
        action: the action space.
        risk: of the objective.
        drop_cost: of the objective, per step.
        states: [K, S], real ones to plan from.
        last_targets: [K, A], rad, the commands in force there.
        goals: one for each state.
        seed: of the first state's candidates; the others count up from it.

    Returns:
        Over the states: `rank_median` and `rank_worst` of Spearman's correlation of the returns; `elite_median` and
        `elite_worst` of the share of one model's best tenth that is in the other's; `regret_median` of the return
        that the other's best candidate loses by the reference, in standard deviations of the returns.
    """
    ranks, overlaps, regrets = [], [], []
    period = action.period
    for k, (state, target, goal) in enumerate(zip(states, last_targets, goals, strict=True)):
        begin = planner.initial_state(seed + k, action.to_normalised(target))
        times = period * np.arange(1, planner.config.horizon + 1)
        candidates = planner.candidates(begin)
        one, two = (
            finite_returns(RolloutObjective(model, task, action, risk, drop_cost, state, goal.at(times))(candidates))
            for model in (reference, other)
        )
        count = max(1, round(ELITE_SHARE * len(one)))
        best = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (one, two)]
        ranks.append(rank_correlation(one, two))
        overlaps.append(len(best[0] & best[1]) / count)
        spread = float(np.std(one[np.isfinite(one)])) if np.isfinite(one).any() else 0.0
        regrets.append((one.max() - one[int(np.argmax(two))]) / spread if spread > 0 else 0.0)
    return {
        "rank_median": float(np.median(ranks)),
        "rank_worst": float(np.min(ranks)),
        "elite_median": float(np.median(overlaps)),
        "elite_worst": float(np.min(overlaps)),
        "regret_median": float(np.median(regrets)),
    }


def rank_correlation(one: Array, two: Array) -> float:
    """Spearman's correlation of two series [N]; equal values share their mean rank. 1 where both are constant."""
    ranks = [_ranks(values) for values in (one, two)]
    deviations = [r - r.mean() for r in ranks]
    norms = [float(np.sqrt((d**2).sum())) for d in deviations]
    if min(norms) == 0.0:
        return 1.0 if max(norms) == 0.0 else 0.0
    return float((deviations[0] * deviations[1]).sum() / (norms[0] * norms[1]))


def _ranks(values: Array) -> NDArray[np.float64]:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group].astype(float)
