# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Plans with a deadline: ready in time, more candidates for more time, the pace behind it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.planning import sampling
from mbrl_controller.planning.base import Planner
from mbrl_controller.planning.catalog import PLANNERS, make_planner
from mbrl_controller.planning.sampling import MIN_CHUNK, SamplingPlanner
from mbrl_controller.planning.throughput import ThroughputEstimator

every_planner = pytest.mark.parametrize(
    "name", sorted(n for n, p in PLANNERS.items() if issubclass(p, SamplingPlanner) and not p.needs_gradients)
)


class Clock:
    """Stands in for the time module: it goes on only when a candidate is evaluated."""

    def __init__(self, fixed: float = 5e-4, each: float = 2e-5) -> None:
        self.now, self.fixed, self.each = 100.0, fixed, each

    def monotonic(self) -> float:
        return self.now

    def objective(self, candidates):
        self.now += self.fixed + self.each * len(candidates)
        return -((candidates - 0.3) ** 2).sum((1, 2))


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sampling, "time", clock)
    return clock


def run(p: Planner, clock: Clock, seconds: float, ticks: int):
    """Plans with `seconds` each: (how late, candidates, return of the plan) of every tick."""
    state, rows = p.initial_state(0), []
    for _ in range(ticks):
        deadline = clock.now + seconds
        result, state = p.plan(clock.objective, state, deadline)
        value = float(-((result.actions - 0.3) ** 2).sum())
        rows.append((clock.now - deadline, result.evaluated, value))
    return np.array(rows)


@every_planner
@pytest.mark.parametrize("milliseconds", [2, 5, 10, 20, 50])
def test_a_plan_is_ready_at_every_deadline(name: str, milliseconds: int, clock: Clock) -> None:
    p = make_planner(name, 3, {"num_samples": 700, "iterations": 5})
    rows = run(p, clock, milliseconds / 1e3, 40)
    assert (rows[:, 0] <= 0).all()
    assert (rows[:, 1] >= MIN_CHUNK).all()


@every_planner
def test_more_time_is_used_for_more_candidates_and_plans_no_worse(name: str, clock: Clock) -> None:
    means = []
    for milliseconds in (2, 5, 10, 20, 50):
        p = make_planner(name, 3, {"num_samples": 700, "iterations": 3})
        rows = run(p, clock, milliseconds / 1e3, 60)[5:]
        means.append(rows[:, 1:].mean(0))
    evaluated, value = np.array(means).T
    assert (np.diff(evaluated) >= 0).all()
    assert evaluated[-1] > 10 * evaluated[0]
    assert (np.diff(value) >= -0.01).all()  # of the 1.9 that the neutral plan loses


def test_most_of_the_time_is_used(clock: Clock) -> None:
    p = make_planner("pddm", 3, {"num_samples": 100_000})
    rows = run(p, clock, 0.02, 40)[5:]
    assert rows[:, 1].mean() > 0.8 * (0.02 - 4 * clock.fixed) / clock.each


def test_a_refinement_that_would_end_late_is_not_begun(clock: Clock) -> None:
    p = make_planner("pddm", 3, {"num_samples": 700, "iterations": 10})
    state = p.initial_state(0)
    for _ in range(5):
        began = clock.now
        result, state = p.plan(clock.objective, state, clock.now + 0.05)  # 14.5 ms each: three fit
    assert result.iterations == 3
    assert clock.now - began <= 0.05


def test_a_machine_that_turns_slow_is_late_for_a_few_ticks_only(clock: Clock) -> None:
    p = make_planner("pddm", 3, {"num_samples": 2000})
    run(p, clock, 0.02, 20)
    clock.fixed, clock.each = 4 * clock.fixed, 4 * clock.each
    late = run(p, clock, 0.02, 60)[:, 0] > 0
    assert late[15:].sum() == 0


def test_without_a_deadline_all_candidates_are_one_chunk() -> None:
    sizes: list[int] = []
    p = make_planner("pddm", 3, {"num_samples": 500, "iterations": 2})
    p.plan(lambda c: sizes.append(len(c)) or np.zeros(len(c)), p.initial_state(0))
    assert sizes == [500, 500]


def test_chunks_make_up_the_population(clock: Clock) -> None:
    sizes: list[int] = []
    p = make_planner("pddm", 3, {"num_samples": 500})

    def objective(candidates):
        sizes.append(len(candidates))
        return clock.objective(candidates)

    state = p.initial_state(0)
    for _ in range(5):
        sizes.clear()
        result, state = p.plan(objective, state, clock.now + 0.0125)
    assert sum(sizes) == result.evaluated
    assert len(sizes) > 1
    assert min(sizes) >= MIN_CHUNK


@pytest.mark.parametrize("name", ["pddm", "cem", "icem"])
def test_what_is_carried_over_is_evaluated_once_however_many_chunks_there_are(name: str, clock: Clock) -> None:
    p = make_planner(name, 3, {"num_samples": 500, "num_elites_kept": 20, "keep_mean": True, "iterations": 1})
    seen: list[np.ndarray] = []

    def objective(candidates):
        seen.append(candidates.copy())
        return clock.objective(candidates)

    state = p.initial_state(0)
    for _ in range(5):
        before = state
        seen.clear()
        _, state = p.plan(objective, state, clock.now + 0.0125)
    assert len(seen) > 1
    everything = np.concatenate(seen)
    carried = np.concatenate([np.clip(before.mean, -1, 1)[None], before.elites]).astype(np.float32)
    assert len(carried) == 21
    np.testing.assert_array_equal(everything[:21], carried)
    times = (everything[:, None] == carried).all((2, 3)).sum(0)
    assert (times == 1).all()


@given(fixed=st.floats(0, 5e-3), each=st.floats(1e-6, 1e-3), seed=st.integers(0, 99))
def test_the_pace_finds_both_parts_of_a_chunks_time(fixed: float, each: float, seed: int) -> None:
    pace, rng = ThroughputEstimator(), np.random.default_rng(seed)
    for n in rng.integers(16, 800, 60):
        pace.add(int(n), fixed + each * n)
    pace.learn()
    for n in (16, 200, 700):
        assert pace.seconds(n) == pytest.approx(fixed + each * n, rel=1e-3)
        assert pace.affordable(fixed + each * n) in (n - 1, n)


def test_chunks_in_which_the_thread_was_put_aside_are_a_delay_and_not_a_slower_pace() -> None:
    pace, rng = ThroughputEstimator(), np.random.default_rng(0)
    for i, n in enumerate(rng.integers(16, 800, 60)):
        pace.add(int(n), 5e-4 + 2e-5 * n + (4e-3 if i % 5 == 0 else 0.0))
    pace.learn()
    assert pace.seconds(400) == pytest.approx(5e-4 + 2e-5 * 400 + 4e-3, rel=0.15)
    assert pace.affordable(10e-3) == pytest.approx((10e-3 - 4.5e-3) / 2e-5, rel=0.15)


def test_nothing_is_known_before_the_first_chunk() -> None:
    pace = ThroughputEstimator()
    assert not pace
    assert pace.affordable(1.0) == 0
    pace.learn()
    pace.add(20, 1e-3)
    assert pace
    assert pace.affordable(2e-3) >= 20


@every_planner
def test_a_real_deadline_is_kept_by_an_objective_that_takes_its_time(name: str) -> None:
    """Real time once: no bound is asserted but that the work done grows with the time given."""
    evaluated = []
    for seconds in (0.004, 0.04):
        p = make_planner(name, 3, {"num_samples": 3000})
        state = p.initial_state(0)
        counts = []
        for _ in range(8):
            result, state = p.plan(
                lambda c: time.sleep(1e-5 * len(c)) or np.zeros(len(c)), state, time.monotonic() + seconds
            )
            counts.append(result.evaluated)
        evaluated.append(np.median(counts))
    assert evaluated[1] > evaluated[0]
