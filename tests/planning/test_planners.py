# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What every planner must do, whatever its algorithm; then what is particular to each."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.planning.base import finite_returns
from mbrl_controller.planning.catalog import PLANNERS, make_planner
from mbrl_controller.planning.pddm import soft_weights
from mbrl_controller.planning.sampling import MIN_CHUNK, SamplingPlanner

ACTIONS = 3
SMALL = {"num_samples": 64, "horizon": 4}
every_planner = pytest.mark.parametrize(
    "name", sorted(n for n, p in PLANNERS.items() if issubclass(p, SamplingPlanner) and not p.needs_gradients)
)


def quadratic(target: float = 0.3):
    """Best where every action equals `target`."""
    return lambda candidates: -((candidates - target) ** 2).sum((1, 2))


def planner(name: str, **options) -> SamplingPlanner:
    return make_planner(name, ACTIONS, {**SMALL, **options})


@every_planner
def test_a_seed_reproduces_a_plan_to_the_bit(name: str) -> None:
    p = planner(name)
    runs = []
    for _ in range(2):
        state, plans = p.initial_state(seed=5), []
        for _ in range(3):
            result, state = p.plan(quadratic(), state)
            plans.append(result.actions)
        runs.append(np.array(plans))
    assert np.array_equal(runs[0], runs[1])
    other, _ = p.plan(quadratic(), p.initial_state(seed=6))
    assert not np.array_equal(other.actions, runs[0][0])


@every_planner
def test_successive_plans_draw_different_numbers(name: str) -> None:
    p = planner(name, iterations=1, num_elites_kept=0)
    seen = []
    state = p.initial_state(0)
    for _ in range(2):
        _, state = p.plan(lambda c: seen.append(c.copy()) or np.zeros(len(c)), state)
    assert not np.allclose(seen[0][1:], seen[1][1:])


@every_planner
def test_planning_beats_the_neutral_action(name: str) -> None:
    p = planner(name, num_samples=400)
    state = p.initial_state(1)
    for _ in range(5):
        result, state = p.plan(quadratic(), state)
    assert quadratic()(result.actions[None])[0] > quadratic()(np.zeros((1, 4, ACTIONS)))[0]


@every_planner
@given(
    scale=st.sampled_from([1e-8, 1.0, 1e6, 1e150]), offset=st.sampled_from([0.0, -1e12, 1e12]), seed=st.integers(0, 99)
)
@settings(max_examples=25, deadline=None)
def test_returns_of_any_size_give_finite_actions_within_limits(
    name: str, scale: float, offset: float, seed: int
) -> None:
    p = planner(name)
    result, state = p.plan(lambda c: offset + scale * quadratic()(c.astype(float)), p.initial_state(seed))
    assert np.isfinite(result.actions).all()
    assert np.abs(result.actions).max() <= 1.0
    assert np.isfinite(state.mean).all()


@every_planner
@given(bad=st.sampled_from([np.nan, np.inf, -np.inf]), share=st.floats(0.0, 0.95), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_return_that_is_not_a_number_never_wins(name: str, bad: float, share: float, seed: int) -> None:
    """Candidates above zero get a bad return; all others a very low one, which must still win."""
    p = planner(name, num_samples=200)

    def objective(candidates):
        returns = np.full(len(candidates), -1e6)
        returns[candidates[:, 0, 0] > share] = bad
        return returns

    result, _ = p.plan(objective, p.initial_state(seed))
    assert result.valid
    assert result.actions[0, 0] <= share
    assert result.predicted_return == pytest.approx(-1e6)


@every_planner
def test_without_any_finite_return_the_shifted_plan_stays_and_says_so(name: str) -> None:
    p = planner(name)
    _, state = p.plan(quadratic(), p.initial_state(3))
    result, after = p.plan(lambda c: np.full(len(c), np.nan), state)
    assert not result.valid
    assert np.array_equal(result.actions, state.mean)
    assert after.tick == state.tick + 1


@every_planner
def test_the_memory_is_the_plan_shifted_by_one_step(name: str) -> None:
    p = planner(name, output="mean")
    result, state = p.plan(quadratic(), p.initial_state(2))
    assert np.array_equal(state.mean[:-1], result.actions[1:])
    assert np.array_equal(state.mean[-1], result.actions[-1])
    assert np.array_equal(state.last_action, result.actions[0])


@every_planner
def test_the_action_for_now_is_the_first_one(name: str) -> None:
    """Only the first step matters to this objective; a planner that returned another one would miss it."""
    p = planner(name, num_samples=2000)
    state = p.initial_state(0)
    for _ in range(4):
        result, state = p.plan(lambda c: -100 * ((c[:, 0] - 0.5) ** 2).sum(1), state)
        state = p.initial_state(0) if name == "random_shooting" else state
    best_later = np.abs(result.actions[1:] - 0.5).mean()
    assert np.abs(result.actions[0] - 0.5).mean() < max(0.25, best_later)


@every_planner
def test_a_reset_forgets_the_mean(name: str) -> None:
    p = planner(name)
    first, state = p.plan(quadratic(), p.initial_state(4))
    for _ in range(3):
        _, state = p.plan(quadratic(-0.9), state)
    again, _ = p.plan(quadratic(), p.initial_state(4))
    assert np.array_equal(first.actions, again.actions)


@every_planner
def test_a_deadline_in_the_past_still_gives_one_refinement(name: str) -> None:
    p = planner(name, iterations=5, population_decay=1.0)
    result, _ = p.plan(quadratic(), p.initial_state(0), deadline=time.monotonic() - 1)
    assert result.iterations == 1
    assert result.evaluated == MIN_CHUNK
    assert result.valid
    full, _ = p.plan(quadratic(), p.initial_state(0), deadline=time.monotonic() + 60)
    assert full.iterations == 5
    assert full.evaluated == 5 * SMALL["num_samples"]


@every_planner
def test_more_refinements_do_not_lose_return(name: str) -> None:
    def mean_return(iterations: int) -> float:
        p = planner(name, iterations=iterations)
        return float(
            np.mean([quadratic()(p.plan(quadratic(), p.initial_state(s))[0].actions[None]) for s in range(20)])
        )

    assert mean_return(6) > mean_return(1)


@every_planner
def test_a_state_of_another_horizon_is_refused(name: str) -> None:
    state = planner(name, horizon=5).initial_state()
    with pytest.raises(ValueError, match="initial_state"):
        planner(name).plan(quadratic(), state)


@every_planner
def test_unknown_or_absurd_options_are_named(name: str) -> None:
    with pytest.raises(MbrlError, match="bogus"):
        planner(name, bogus=1)
    with pytest.raises(MbrlError, match="num_samples"):
        planner(name, num_samples=0)


def test_an_unknown_planner_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MbrlError, match=r"cem, gradient, hybrid, icem, .*pddm, random, random_shooting"):
        make_planner("no_such", 3)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20), st.floats(1e-3, 1e3))
def test_soft_weights_are_a_distribution_that_prefers_higher_returns(returns: list[float], kappa: float) -> None:
    values = np.array(returns)
    with np.errstate(over="ignore"):
        weights = soft_weights(values, kappa)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    assert weights[np.argmax(values)] == weights.max()


def test_soft_weights_do_not_change_when_all_returns_move() -> None:
    returns = np.array([-3.0, -1.0, 0.5])
    assert soft_weights(returns, 2.0) == pytest.approx(soft_weights(returns - 1e6, 2.0))


def _candidates(name: str, **options) -> np.ndarray:
    seen: list[np.ndarray] = []
    p = planner(name, num_samples=20_000, **options)
    p.plan(lambda c: seen.append(c.copy()) or np.zeros(len(c)), p.initial_state(0))
    return seen[0]


@pytest.mark.parametrize("filter_", ["released", "paper"])
@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_sigma_scales_the_samples(filter_: str, sigma: float) -> None:
    """The first step's deviation is beta sigma with either filter, from the neutral action."""
    first = _candidates("pddm", sigma=sigma, beta=0.6, filter_variant=filter_, low_noise_fraction=0.0)[:, 0]
    assert first.std() == pytest.approx(0.6 * sigma, rel=0.03)


@pytest.mark.parametrize("filter_", ["released", "paper"])
def test_the_filter_correlates_successive_steps(filter_: str) -> None:
    """An autoregression with coefficient 1 - beta: neighbours correlate by 1 - beta once it is stationary."""
    late = _candidates("pddm", sigma=0.1, beta=0.4, filter_variant=filter_, low_noise_fraction=0.0, horizon=20)[
        :, -2:, 0
    ]
    assert np.corrcoef(late[:, 0], late[:, 1])[0, 1] == pytest.approx(0.6, abs=0.03)
    white = _candidates("pddm", sigma=0.1, beta=1.0, filter_variant=filter_, low_noise_fraction=0.0)[:, -2:, 0]
    assert np.corrcoef(white[:, 0], white[:, 1])[0, 1] == pytest.approx(0.0, abs=0.03)


def test_only_the_released_filter_pulls_towards_the_last_action() -> None:
    for filter_, expected in (("released", 0.4 * 0.5), ("paper", 0.0)):
        p = planner("pddm", num_samples=20_000, sigma=0.05, beta=0.6, filter_variant=filter_, keep_mean=False)
        seen: list[np.ndarray] = []
        p.plan(
            lambda c, seen=seen: seen.append(c.copy()) or np.zeros(len(c)), p.initial_state(0, np.full(ACTIONS, 0.5))
        )
        assert seen[0][:, 0].mean() == pytest.approx(expected, abs=0.01)


def test_calm_candidates_have_a_third_of_the_noise() -> None:
    """One in ten, whatever part of the candidates a chunk takes."""
    first = _candidates("pddm", sigma=0.3, filter_variant="paper", low_noise_fraction=0.1, keep_mean=False)[:, 0]
    calm = np.arange(len(first)) % 10 == 9
    assert first[calm].std() / first[~calm].std() == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("name", ["pddm", "cem", "icem"])
def test_the_mean_itself_is_a_candidate(name: str) -> None:
    p = planner(name)
    _, state = p.plan(quadratic(), p.initial_state(0))
    seen: list[np.ndarray] = []
    p.plan(lambda c: seen.append(c.copy()) or np.zeros(len(c)), state)
    assert np.array_equal(seen[0][0], np.clip(state.mean, -1, 1).astype(np.float32))


def test_cem_narrows_around_its_elites() -> None:
    seen: list[float] = []
    p = planner("cem", num_samples=500, iterations=4, sigma=0.5)
    p.plan(lambda c: seen.append(c.std()) or quadratic()(c), p.initial_state(0))
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0.6 * seen[0]


def test_cem_never_narrows_below_its_floor() -> None:
    """Where the best lies outside the limits all elites come to the same; there must be something left to find."""
    seen: list[np.ndarray] = []
    p = planner("cem", num_samples=2000, iterations=25, sigma=0.5, sigma_min=0.07, keep_mean=False)
    p.plan(lambda c: seen.append(c.copy()) or quadratic()(c), p.initial_state(0))
    assert seen[-1].std(0).mean() == pytest.approx(0.07, rel=0.1)
    assert seen[0].std(0).mean() == pytest.approx(0.5, rel=0.2)


def test_cem_elites_leave_out_returns_that_are_no_numbers() -> None:
    p = planner("cem", num_samples=50, elite_fraction=0.5, iterations=1, momentum=0.0, sigma_min=0.0)
    kept: list[np.ndarray] = []

    def objective(candidates):
        kept.append(candidates[:3].copy())
        return np.concatenate([np.full(3, -7.0), np.full(len(candidates) - 3, np.nan)])

    result, _ = p.plan(objective, p.initial_state(0))
    assert np.allclose(result.actions, kept[0].mean(0))


def test_random_shooting_returns_the_best_sequence_it_saw() -> None:
    seen: list[np.ndarray] = []
    p = planner("random_shooting", iterations=3)
    result, _ = p.plan(lambda c: seen.append(c.copy()) or quadratic()(c), p.initial_state(0))
    everything = np.concatenate(seen)
    assert np.array_equal(result.actions, everything[np.argmax(quadratic()(everything))])


def test_finite_returns_maps_everything_else_below_every_number() -> None:
    assert finite_returns(np.array([np.nan, np.inf, -np.inf, -1e308])).tolist() == [-np.inf, -np.inf, -np.inf, -1e308]
