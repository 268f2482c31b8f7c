# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Planning by gradient: it climbs within the bounds, keeps the best it met, and ends in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.planning import ascent
from mbrl_controller.planning.ascent import AdamConfig, ascend
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.gradient import GradientPlanner
from mbrl_controller.planning.throughput import ThroughputEstimator

H, A = 5, 3
TARGET = np.linspace(-0.8, 0.8, H * A).reshape(H, A)


class Hill:
    """The nearer to `target`, the better; a cliff without a slope lies beyond `cliff` in the first action."""

    def __init__(self, target: np.ndarray = TARGET, cliff: float = np.inf, proposals: Any = None) -> None:
        self.target, self.cliff, self.proposals = target, cliff, proposals
        self.asked: list[np.ndarray] = []

    def __call__(self, candidates: np.ndarray) -> np.ndarray:
        returns = -((candidates - self.target) ** 2).sum((1, 2))
        return returns - 100.0 * (candidates[:, 0, 0] > self.cliff)

    def gradient(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(candidates.copy())
        return self(candidates), -2 * (candidates - self.target)


def planner(**options: Any) -> GradientPlanner:
    made = make_planner("gradient", A, {"horizon": H, **options})
    assert isinstance(made, GradientPlanner)
    return made


def test_it_climbs_to_the_top() -> None:
    p, hill = planner(iterations=50), Hill()
    plan, after = p.plan(hill, p.initial_state(0))
    np.testing.assert_allclose(plan.actions, TARGET, atol=0.05)
    assert plan.predicted_return == pytest.approx(float(hill(plan.actions[None])[0]), abs=1e-5)
    assert (plan.iterations, plan.evaluated, plan.valid) == (50, 51 * 8, True)
    np.testing.assert_array_equal(after.mean, np.concatenate([plan.actions[1:], plan.actions[-1:]]))
    assert after.tick == 1


def test_each_step_more_is_no_worse() -> None:
    found = []
    for steps in (1, 3, 10, 30):
        p = planner(iterations=steps)
        found.append(p.plan(Hill(), p.initial_state(1))[0].predicted_return)
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.1


def test_actions_stay_within_their_bounds() -> None:
    p, hill = planner(iterations=30, step_size=1.0, sigma=3.0), Hill(target=np.full((H, A), 4.0))
    plan, _ = p.plan(hill, p.initial_state(0))
    assert max(np.abs(asked).max() for asked in hill.asked) <= 1.0
    np.testing.assert_allclose(plan.actions, 1.0)


def test_the_objective_judges_where_the_slope_is_wrong() -> None:
    """The slope leads over the cliff; the plan is the best that was met on this side."""
    p, hill = planner(iterations=40), Hill(target=np.full((H, A), 0.9), cliff=0.5)
    plan, _ = p.plan(hill, p.initial_state(0))
    assert plan.actions[0, 0] <= 0.5
    assert plan.predicted_return > -50


def test_the_first_start_is_the_plan_so_far_and_noise_is_around_it() -> None:
    p, hill = planner(starts=64, sigma=0.2, iterations=1), Hill()
    state = p.initial_state(3)
    state = p.plan(hill, state)[1]
    hill.asked.clear()
    p.plan(hill, state)
    np.testing.assert_array_equal(hill.asked[0][0], np.clip(state.mean, -1, 1).astype(np.float32))
    assert 0.1 < np.abs(hill.asked[0][1:] - state.mean).mean() < 0.3


def test_a_share_starts_at_and_around_what_the_policy_proposes() -> None:
    proposal = np.full((1, H, A), -0.7, np.float32)
    p, hill = planner(starts=10, proposal_fraction=0.3, sigma=0.1, iterations=1), Hill(proposals=proposal)
    p.plan(hill, p.initial_state(0))
    starts = hill.asked[0]
    np.testing.assert_array_equal(starts[7], proposal[0])
    assert np.abs(starts[8:] - proposal).mean() < 0.2
    assert np.abs(starts[:7]).mean() < 0.2
    whole = planner(starts=3, proposal_fraction=1.0)
    whole.plan(hill, whole.initial_state(0))


def test_the_same_seed_gives_the_same_plan_to_the_bit() -> None:
    p = planner()
    one, two, other = (p.plan(Hill(), p.initial_state(seed))[0].actions for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


class Clock:
    """Each gradient takes a tenth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Slow(Hill):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def gradient(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.clock.now += 0.1
        return super().gradient(candidates)


def test_it_ends_in_time_with_the_best_so_far() -> None:
    clock = Clock()
    hill, starts = Slow(clock), np.zeros((4, H, A))
    found = ascend(hill, starts, AdamConfig(horizon=H), 100, 1.0, ThroughputEstimator(), clock.monotonic)
    assert clock.now <= 1.0
    assert 5 <= found.steps < 10
    assert (found.returns > hill(starts)).all()


def test_one_evaluation_is_made_in_any_case() -> None:
    p, hill = planner(), Hill()
    plan, _ = p.plan(hill, p.initial_state(0), deadline=0.0)
    assert (plan.iterations, plan.evaluated, plan.valid) == (0, 8, True)


def test_a_candidate_that_is_no_number_does_not_stop_the_others() -> None:
    class Broken(Hill):
        def gradient(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            returns, gradients = super().gradient(candidates)
            returns[0], gradients[0], gradients[1, 0, 0] = np.nan, np.nan, np.inf
            return returns, gradients

    p = planner(iterations=50)
    plan, _ = p.plan(Broken(), p.initial_state(0))
    assert plan.predicted_return > -0.1

    class Hopeless(Hill):
        def gradient(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.full(len(candidates), np.nan), np.full(candidates.shape, np.nan)

    state = p.initial_state(0)
    plan, after = p.plan(Hopeless(), state)
    assert not plan.valid
    np.testing.assert_array_equal(plan.actions, state.mean)
    assert np.isfinite(after.mean).all()


def test_an_objective_without_gradients_is_refused() -> None:
    p = planner()
    with pytest.raises(MbrlError, match="no gradients: plan with one that samples"):
        p.plan(lambda candidates: np.zeros(len(candidates)), p.initial_state(0))


def test_too_many_starts_are_refused() -> None:
    with pytest.raises(MbrlError, match="starts times horizon is 150000"):
        planner(starts=10_000, horizon=15)
    assert ascent.TINY > 0
