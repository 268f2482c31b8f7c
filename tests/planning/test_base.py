# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a planner carries from plan to plan, and how it divides the time it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.planning import sampling
from mbrl_controller.planning.base import Planner, PlannerConfig, PlannerState, shift
from mbrl_controller.planning.catalog import PLANNERS, make_planner
from mbrl_controller.planning.sampling import CHUNK_SHARE, MIN_CHUNK, MOST_STEPS, SamplingPlanner

H, A = 4, 3
PLAN = np.arange(H * A).reshape(H, A) / 20


def planner(name: str = "pddm", **options: Any) -> SamplingPlanner:
    return make_planner(name, A, {"num_samples": 64, "horizon": H, **options})


# --- memory -----------------------------------------------------------------------------------------------------------


def test_a_plan_one_step_later_repeats_its_last_step() -> None:
    later = np.concatenate([PLAN[1:], PLAN[-1:]])
    np.testing.assert_array_equal(shift(PLAN), later)
    np.testing.assert_array_equal(shift(np.stack([PLAN, -PLAN])), np.stack([later, -later]))


def test_a_step_without_a_plan_takes_all_that_is_carried_along() -> None:
    state = PlannerState(PLAN, np.array([0.1, 0.2, 0.3]), seed=5, tick=7, elites=np.stack([PLAN, 2 * PLAN]))
    after = state.skipped()
    np.testing.assert_array_equal(after.mean, shift(PLAN))
    np.testing.assert_array_equal(after.elites, shift(np.stack([PLAN, 2 * PLAN])))
    assert (after.seed, after.tick) == (5, 8)
    assert after.last_action is state.last_action
    assert PlannerState(PLAN, np.zeros(3), 5).skipped().elites is None


def test_what_was_executed_is_within_the_limits_of_actions() -> None:
    state = PlannerState(PLAN, np.zeros(3), seed=5, tick=7)
    after = state.executed(np.array([0.5, 1.5, -1.5]))
    assert after.last_action.tolist() == [0.5, 1.0, -1.0]
    assert (after.mean is PLAN, after.seed, after.tick) == (True, 5, 7)


def test_a_fresh_memory_is_neutral_but_for_where_the_hand_is() -> None:
    state = planner().initial_state(3, np.array([0.5, 2.0, -2.0]))
    assert state.last_action.tolist() == [0.5, 1.0, -1.0]
    np.testing.assert_array_equal(state.mean, np.zeros((H, A)))
    assert (state.seed, state.tick, state.elites) == (3, 0, None)
    assert planner().initial_state().last_action.tolist() == [0.0] * 3


def test_each_tick_of_each_seed_has_its_own_numbers() -> None:
    def numbers(seed: int, tick: int) -> tuple[float, ...]:
        return tuple(PlannerState(PLAN, np.zeros(3), seed, tick).rng().random(4))

    asked = [(seed, tick) for seed in (0, 1, 2, 2**32, 2**63 + 1, -1) for tick in (0, 1, 2, 1000)]
    assert len({numbers(*one) for one in asked}) == len(asked)
    assert numbers(7, 3) == numbers(7, 3)
    assert numbers(2**64 + 5, 0) == numbers(5, 0)


def test_a_plan_says_what_it_took_and_the_memory_goes_one_tick_on() -> None:
    p = planner(iterations=3, num_elites_kept=4, population_decay=1.0)
    state = PlannerState(np.zeros((H, A)), np.zeros(A), seed=9, tick=4)
    seen: list[np.ndarray] = []

    def objective(candidates: np.ndarray) -> np.ndarray:
        seen.append(candidates.copy())
        return -((candidates - 0.3) ** 2).sum((1, 2))

    result, after = p.plan(objective, state)
    assert (result.iterations, result.evaluated, result.valid) == (3, 3 * 64, True)
    assert result.actions.shape == (H, A)
    assert (after.seed, after.tick) == (9, 5)
    np.testing.assert_array_equal(after.last_action, result.actions[0])
    last = seen[-1][np.argsort(((seen[-1] - 0.3) ** 2).sum((1, 2)), kind="stable")[:4]]
    np.testing.assert_allclose(after.elites, shift(last))


def test_the_return_that_is_told_is_of_what_is_executed() -> None:
    def told(execute: str) -> tuple[float, float]:
        returns: list[np.ndarray] = []
        p = planner(output=execute, inverse_temperature=1e-6)

        def objective(candidates: np.ndarray) -> np.ndarray:
            returns.append(-((candidates - 0.3) ** 2).sum((1, 2)).astype(float))
            return returns[-1]

        return p.plan(objective, p.initial_state(0))[0].predicted_return, returns

    predicted, returns = told("best")
    assert predicted == pytest.approx(returns[0].max())
    predicted, returns = told("mean")  # with hardly any weighting: of the mean, the mean
    assert predicted == pytest.approx(returns[0].mean(), rel=1e-4)


def test_a_plan_without_a_finite_return_is_told_and_keeps_the_mean() -> None:
    p = planner(iterations=2)
    state = PlannerState(PLAN, np.zeros(A), 0)
    result, after = p.plan(lambda c: np.full(len(c), np.nan), state)
    assert (result.valid, result.predicted_return, result.iterations, result.evaluated) == (False, -np.inf, 2, 128)
    np.testing.assert_array_equal(result.actions, PLAN)
    np.testing.assert_array_equal(after.mean, shift(PLAN))


def test_one_finite_refinement_of_two_is_enough() -> None:
    p = planner(iterations=2)
    calls: list[int] = []

    def objective(candidates: np.ndarray) -> np.ndarray:
        calls.append(len(candidates))
        return np.full(len(candidates), np.nan if len(calls) == 2 else 1.0)

    result, _ = p.plan(objective, p.initial_state(0))
    assert result.valid
    assert result.predicted_return == pytest.approx(1.0)


def test_the_candidates_of_the_first_refinement_are_those_a_plan_tries() -> None:
    for name in ("pddm", "cem", "icem", "random_shooting"):
        p = planner(name, num_elites_kept=3)
        _, state = p.plan(lambda c: -((c - 0.3) ** 2).sum((1, 2)), p.initial_state(0))
        seen: list[np.ndarray] = []
        p.plan(lambda c, seen=seen: seen.append(c.copy()) or np.zeros(len(c)), state)
        np.testing.assert_array_equal(p.candidates(state), seen[0])


def test_so_many_steps_fit_into_memory_and_no_more() -> None:
    assert MOST_STEPS == 1_000_000
    make_planner("pddm", A, {"num_samples": 100_000, "horizon": 10})
    with pytest.raises(MbrlError, match="num_samples times horizon is 1100000, more than 1000000"):
        make_planner("pddm", A, {"num_samples": 100_000, "horizon": 11})


# --- candidates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pddm", "cem", "icem", "random_shooting"])
def test_no_candidate_leaves_the_limits_however_wide_the_noise_and_wherever_the_plan(name: str) -> None:
    p = planner(name, **({} if name == "random_shooting" else {"sigma": 2.0}), keep_mean=True)
    for mean in (1.3, -1.3):
        tried = p.candidates(PlannerState(np.full((H, A), mean), np.zeros(A), 0))
        assert np.abs(tried).max() == 1.0
        np.testing.assert_array_equal(tried[0], np.sign(mean))
        inside = np.abs(tried[1:]) < 1
        assert inside.any()


def test_uniform_candidates_fill_the_range_and_do_not_pile_up_at_its_ends() -> None:
    tried = planner("random_shooting", num_samples=5000).candidates(planner("random_shooting").initial_state(0))
    assert (np.abs(tried) < 1).all()
    assert tried.std() == pytest.approx(1 / np.sqrt(3), rel=0.02)
    assert (tried.min(), tried.max()) == (pytest.approx(-1, abs=1e-3), pytest.approx(1, abs=1e-3))


@pytest.mark.parametrize("kept", [1, 2, 3, 7, 63, 64, 100])
def test_the_best_are_kept_best_first(kept: int) -> None:
    p = planner(num_elites_kept=kept)
    for seed in range(20):
        seen: list[tuple[np.ndarray, np.ndarray]] = []

        def objective(c: np.ndarray, seed: int = seed, seen: list = seen) -> np.ndarray:
            returns = np.random.default_rng(seed).permutation(float(len(c)) * np.arange(len(c)))
            seen.append((c.copy(), returns))
            return returns

        _, after = p.plan(objective, p.initial_state(seed))
        tried, returns = seen[0]
        np.testing.assert_array_equal(after.elites, shift(tried[np.argsort(-returns)[:kept]].astype(float)))


# --- time -------------------------------------------------------------------------------------------------------------


class Clock:
    """Stands in for the time module; candidates take their time, and nothing else does."""

    def __init__(self, each: float = 1e-3) -> None:
        self.now, self.each = 50.0, each
        self.sizes: list[int] = []

    def monotonic(self) -> float:
        return self.now

    def objective(self, candidates: np.ndarray) -> np.ndarray:
        self.sizes.append(len(candidates))
        self.now += self.each * len(candidates)
        return -((candidates - 0.3) ** 2).sum((1, 2))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sampling, "time", clock)
    return clock


def sizes(clock: Clock, p: SamplingPlanner, seconds: float) -> list[int]:
    clock.sizes.clear()
    p.plan(clock.objective, p.initial_state(0), clock.now + seconds)
    return clock.sizes


def expected(seconds: float, candidates: int, each: float = 1e-3) -> list[int]:
    """Each chunk takes the share of what is left, at least MIN_CHUNK; a small rest goes with the one before it."""
    left, found = seconds, []
    while sum(found) < candidates:
        rest = candidates - sum(found)
        size = min(rest, int(CHUNK_SHARE * left / each + 1e-9))
        if size < min(rest, MIN_CHUNK):
            break
        size = rest if rest - size < MIN_CHUNK else size
        found.append(size)
        left -= each * size
    return found or [MIN_CHUNK]


@pytest.mark.parametrize("seconds", [0.01, 0.0301, 0.1003, 0.2007, 0.3503, 0.5003, 2.0])
def test_chunks_take_their_share_of_the_time_left(seconds: float, clock: Clock) -> None:
    assert (MIN_CHUNK, CHUNK_SHARE) == (16, 0.7)
    p = planner(num_samples=300)
    sizes(clock, p, 10.0)  # learns the pace
    sizes(clock, p, 10.0)
    assert sizes(clock, p, seconds) == expected(seconds, 300)


def test_a_planner_that_knows_no_pace_begins_with_a_small_chunk(clock: Clock) -> None:
    assert sizes(clock, planner(num_samples=300), 10.0)[0] == MIN_CHUNK
    assert sizes(clock, planner(num_samples=10), 10.0) == [10]


def test_a_small_rest_goes_with_the_chunk_before_it(clock: Clock) -> None:
    for rest, chunks in ((15, 1), (16, 2)):
        p = planner(num_samples=70 + rest)
        for _ in range(3):
            sizes(clock, p, 10.0)
        found = sizes(clock, p, 0.10001)  # 70 of the share
        assert found[0] == (70 + rest if chunks == 1 else 70)


def test_a_refinement_is_begun_if_it_should_end_at_the_deadline_and_not_if_after(clock: Clock) -> None:
    for seconds, iterations in ((0.2501, 2), (0.1999, 1), (0.2999, 2), (0.3001, 3), (1.0, 4)):
        p = planner(num_samples=100, iterations=4)
        for _ in range(3):
            sizes(clock, p, 10.0)
        p.throughput._delay = 0.0
        began = clock.now
        result, _ = p.plan(clock.objective, p.initial_state(0), clock.now + seconds)
        assert result.iterations == iterations
        assert clock.now - began <= seconds


def test_where_one_refinement_is_too_much_a_smaller_one_is_not_begun_either(clock: Clock) -> None:
    p = planner(num_samples=100, iterations=4, population_decay=4.0)
    for _ in range(3):
        sizes(clock, p, 10.0)
    assert sizes(clock, p, 10.0) == [100, 25, 6, 2]
    assert sum(sizes(clock, p, 0.1103)) == 100  # 25 more would be late, 6 would not


# --- packages that were written before -------------------------------------------------------------------------------


def test_a_planner_of_the_old_base_is_told_the_new_one() -> None:
    class Old(Planner):
        name = "old"
        config_type = PlannerConfig

        def _sample(self, search: Any, state: Any, rng: Any, count: int) -> Any: ...

    with pytest.raises(MbrlError, match=r"subclass of mbrl_controller\.planning\.sampling\.SamplingPlanner"):
        PLANNERS.add("old", Old)
    with pytest.raises(ImportError, match=r"Search is now in mbrl_controller\.planning\.sampling"):
        from mbrl_controller.planning.base import Search  # noqa: F401


def test_a_planner_without_a_plan_is_refused() -> None:
    class Nothing(Planner):
        name = "nothing"
        config_type = PlannerConfig

    with pytest.raises(MbrlError, match="does not define plan"):
        PLANNERS.add("nothing", Nothing)
