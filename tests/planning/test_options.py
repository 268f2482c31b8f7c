# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The options that planners share: kept candidates, shrinking populations, the best seen, widths per joint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.planning.base import PlannerState
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.pddm import adapted_inverse_temperature, soft_weights
from mbrl_controller.planning.sampling import SamplingPlanner

ACTIONS, HORIZON = 3, 6
sampling_planners = pytest.mark.parametrize("name", ["pddm", "cem", "icem"])


def planner(name: str, **options) -> SamplingPlanner:
    return make_planner(name, ACTIONS, {"num_samples": 80, "horizon": HORIZON, "iterations": 1, **options})


def watched(p: SamplingPlanner, state: PlannerState, target: float = 0.3):
    """A plan, the next state, and the candidates of each refinement."""
    seen: list[np.ndarray] = []

    def objective(candidates):
        seen.append(candidates.copy())
        return -((candidates - target) ** 2).sum((1, 2))

    result, after = p.plan(objective, state)
    return result, after, seen


@sampling_planners
def test_the_best_candidates_come_back_shifted_in_the_next_tick(name: str) -> None:
    p = planner(name, num_elites_kept=5, keep_mean=False)
    _, state, seen = watched(p, p.initial_state(0))
    returns = -((seen[0] - 0.3) ** 2).sum((1, 2))
    best = seen[0][np.argsort(-returns)[:5]]
    _, _, after = watched(p, state)
    assert np.allclose(after[0][:5, :-1], best[:, 1:])
    assert np.allclose(after[0][:5, -1], best[:, -1])


@sampling_planners
def test_the_best_candidates_stay_for_the_next_refinement_as_they_are(name: str) -> None:
    p = planner(name, num_elites_kept=4, keep_mean=False, iterations=2, population_decay=1.0)
    _, _, seen = watched(p, p.initial_state(0))
    returns = -((seen[0] - 0.3) ** 2).sum((1, 2))
    assert np.allclose(seen[1][:4], seen[0][np.argsort(-returns)[:4]])


def test_nothing_is_kept_unless_asked_for_and_a_reset_forgets_it() -> None:
    p = planner("pddm")
    assert watched(p, p.initial_state(0))[1].elites is None
    assert planner("icem").initial_state(0).elites is None


def test_candidates_without_a_number_are_not_kept() -> None:
    p = planner("pddm", num_elites_kept=10)

    def objective(candidates):
        returns = np.full(len(candidates), np.nan)
        returns[:3] = [1.0, 3.0, 2.0]
        return returns

    _, state = p.plan(objective, p.initial_state(0))
    assert state.elites is not None
    assert len(state.elites) == 3


@given(decay=st.floats(1.0, 4.0), iterations=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_populations_shrink_by_the_decay_and_are_counted(decay: float, iterations: int) -> None:
    p = planner("pddm", population_decay=decay, iterations=iterations)
    result, _, seen = watched(p, p.initial_state(0))
    assert [len(s) for s in seen] == [max(2, round(80 / decay**i)) for i in range(iterations)]
    assert result.evaluated == sum(len(s) for s in seen)


@sampling_planners
def test_best_is_the_best_of_all_that_were_seen(name: str) -> None:
    p = planner(name, output="best", iterations=3)
    result, _, seen = watched(p, p.initial_state(3))
    everything = np.concatenate(seen)
    returns = -((everything - 0.3) ** 2).sum((1, 2))
    assert np.allclose(result.actions, everything[np.argmax(returns)])
    assert result.predicted_return == pytest.approx(returns.max(), rel=1e-5)


@sampling_planners
def test_joint_scale_widens_single_joints(name: str) -> None:
    p = planner(name, num_samples=5000, sigma=0.1, joint_scale=(1.0, 2.0, 0.5), keep_mean=False)
    first = watched(p, p.initial_state(0))[2][0][:, 0]
    assert first[:, 1].std() / first[:, 0].std() == pytest.approx(2.0, rel=0.08)
    assert first[:, 2].std() / first[:, 0].std() == pytest.approx(0.5, rel=0.08)


def test_a_joint_scale_of_another_length_is_refused() -> None:
    with pytest.raises(MbrlError, match=r"joint_scale has 2 entries, the hand 3 joints"):
        planner("pddm", joint_scale=(1.0, 2.0))


@pytest.mark.parametrize("noise", ["white", "filtered", "coloured", "knots"])
@sampling_planners
def test_every_kind_of_noise_goes_with_every_planner(name: str, noise: str) -> None:
    p = planner(name, noise=noise, num_samples=400, iterations=3)
    state = p.initial_state(0)
    for _ in range(4):
        result, state, _ = watched(p, state)
    start = -((np.zeros((HORIZON, ACTIONS)) - 0.3) ** 2).sum()
    assert -((result.actions - 0.3) ** 2).sum() > start / 3


@given(st.integers(2, 400), st.floats(0.02, 1.0), st.floats(1e-6, 1e6), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_adapted_inverse_temperature_gives_the_share_asked_for_at_any_scale(
    n: int, share: float, scale: float, seed: int
) -> None:
    returns = np.random.default_rng(seed).normal(size=n) * scale - 3 * scale
    weights = soft_weights(returns, adapted_inverse_temperature(returns, share))
    assert 1 / (weights @ weights) == pytest.approx(max(1.0, share * n), rel=0.05, abs=0.05)


def test_adapted_inverse_temperature_takes_equal_and_missing_returns() -> None:
    assert np.isfinite(adapted_inverse_temperature(np.full(5, -2.0), 0.5))
    assert np.isfinite(adapted_inverse_temperature(np.array([-np.inf, 1.0, 2.0, -np.inf]), 0.5))


def test_an_effective_share_makes_a_plan_blind_to_the_scale_of_the_reward() -> None:
    plans = []
    for scale in (1.0, 1e-3, 1e4):
        p = planner("pddm", ess_fraction=0.1)
        result, _ = p.plan(lambda c, scale=scale: -scale * ((c - 0.3) ** 2).sum((1, 2)), p.initial_state(0))
        plans.append(result.actions)
    assert np.allclose(plans[0], plans[1], atol=1e-3)
    assert np.allclose(plans[0], plans[2], atol=1e-3)
