# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The noise that is added to plans: how fast and how far it goes, the same however a controller is run."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.control.exploration import ExplorationNoise
from mbrl_controller.rollouts.policies import ControllerPolicy
from mbrl_controller.tasks.base import constant_goal

from .conftest import make_core
from .test_session import PERIOD, Bench

GOAL = constant_goal(np.array([1.0]))


def series(noise: ExplorationNoise, steps: int, deviation: float = 0.5, beta: float = 1.0) -> np.ndarray:
    return np.array([noise.sample(deviation, beta) for _ in range(steps)])


def test_with_beta_one_it_is_white_noise_of_the_deviation_asked_for() -> None:
    white = series(ExplorationNoise(3, seed=4), 4000)
    assert white.std(0) == pytest.approx([0.5] * 3, rel=0.05)
    for lag in (1, 2):
        assert np.corrcoef(white[:-lag, 0], white[lag:, 0])[0, 1] == pytest.approx(0.0, abs=0.06)
    assert np.corrcoef(white.T)[0, 1] == pytest.approx(0.0, abs=0.06)  # each joint has its own


def test_a_small_beta_makes_it_slow() -> None:
    slow = series(ExplorationNoise(2), 20_000, beta=0.1)[200:]
    assert slow.std() == pytest.approx(0.5 * np.sqrt(0.1 / 1.9), rel=0.1)
    assert np.diff(slow, axis=0).std() < 0.5 * slow.std()
    assert np.corrcoef(slow[:-1, 0], slow[1:, 0])[0, 1] == pytest.approx(0.9, abs=0.02)


def test_each_step_is_beta_of_the_new_and_the_rest_of_the_old() -> None:
    fresh = series(ExplorationNoise(3, seed=7), 5)
    filtered, expected = series(ExplorationNoise(3, seed=7), 5, beta=0.3), np.zeros(3)
    for new, found in zip(fresh, filtered, strict=True):
        expected = 0.3 * new + 0.7 * expected
        np.testing.assert_allclose(found, expected)


def test_a_reset_begins_from_no_noise_with_the_numbers_of_its_seed() -> None:
    noise = ExplorationNoise(3, seed=1)
    first = series(noise, 5, beta=0.2)
    noise.reset(2)
    other = series(noise, 5, beta=0.2)
    noise.reset(1)
    np.testing.assert_array_equal(series(noise, 5, beta=0.2), first)
    assert (first != other).all()


def test_without_deviation_there_is_none() -> None:
    assert ExplorationNoise(3).sample(0.0, 0.6) is None


def test_a_session_and_an_evaluated_controller_explore_alike() -> None:
    """The same states and the same seeds: the same commands to the bit, in each episode."""
    bench = Bench(seed=3, exploration_noise=0.3, noise_smoothing=0.4)
    bench.core.config = bench.core.config.model_copy(update={"delay": "none"})
    bench.session.set_goal(GOAL, 0.0)
    explored = ControllerPolicy(make_core(delay="none"), 0.3, beta=0.4)
    for begin in (1.0, 3.0):
        bench.session.reset(begin)
        steps = bench.run(begin, 6)
        for policy, same in ((explored, True), (ControllerPolicy(make_core(delay="none")), False)):
            policy.reset(steps[0].tick.request.planner_state.seed, steps[0].observation)
            commands = [policy.act(step.observation, GOAL, k * PERIOD)[0] for k, step in enumerate(steps)]
            alike = [np.array_equal(step.tick.command, c) for step, c in zip(steps, commands, strict=True)]
            assert all(alike) is same


def test_the_numbers_of_a_seed_stay_what_they_were() -> None:
    """So that an evaluation or a session of an older release can be repeated."""
    expected = 0.5 * np.random.default_rng([7, 1]).standard_normal((4, 3))
    np.testing.assert_array_equal(series(ExplorationNoise(3, seed=7), 4), expected)
