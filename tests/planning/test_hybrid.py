# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Gradient steps after sampling: they are taken only where the objective calls them a gain."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.planning import hybrid, sampling
from mbrl_controller.planning.catalog import make_planner

from .test_gradient import A, H, Hill

SMALL = {"num_samples": 32, "horizon": H}


class Rugged(Hill):
    """A hill with steps that no slope tells, and a slope that lies by `lie`."""

    def __init__(self, seed: int, lie: float) -> None:
        rng = np.random.default_rng(seed)
        super().__init__(rng.uniform(-1, 1, (H, A)))
        self.weights, self.lie = rng.normal(size=(H, A)), lie

    def __call__(self, candidates: np.ndarray) -> np.ndarray:
        return super().__call__(candidates) + 0.5 * np.floor((candidates * self.weights).sum((1, 2)))

    def gradient(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        returns, gradients = super().gradient(candidates)
        return returns, gradients + self.lie * self.weights


def plan(name: str, objective: Any, seed: int, **options: Any):
    planner = make_planner(name, A, {**SMALL, **options})
    return planner.plan(objective, planner.initial_state(seed))


@given(st.integers(0, 1000), st.floats(-20, 20), st.sampled_from(["mean", "best"]), st.integers(1, 3))
@settings(max_examples=40)
def test_it_is_never_worse_than_pddm_with_the_same_seed(seed: int, lie: float, output: str, iterations: int) -> None:
    objective = Rugged(seed, lie)
    (one, _), (two, after) = (
        plan(name, objective, seed, output=output, iterations=iterations) for name in ("pddm", "hybrid")
    )
    judged = objective(np.stack([one.actions, two.actions]).astype(np.float32))
    assert judged[1] >= judged[0]
    if np.array_equal(one.actions, two.actions):
        assert one.predicted_return == two.predicted_return
    else:
        assert judged[1] > judged[0]
        assert two.predicted_return == judged[1]
    if output == "mean":
        np.testing.assert_array_equal(two.actions[1:], after.mean[:-1])


def test_a_true_slope_is_a_gain() -> None:
    hill = Hill()
    (one, _), (two, _) = plan("pddm", hill, 0), plan("hybrid", hill, 0, gradient_steps=20)
    returns = hill(np.stack([one.actions, two.actions]))
    assert returns[1] > returns[0] + 0.05
    assert two.evaluated == 32 + 21 * 2 + 3


def test_a_wrong_slope_leaves_pddms_plan() -> None:
    class Wrong(Hill):
        def gradient(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            returns, gradients = super().gradient(candidates)
            return returns, -gradients

    hill = Wrong(target=np.full((H, A), 0.2))
    # The mean of many samples is better than each of them here, so only the slope could be better still.
    (one, before), (two, after) = (plan(name, hill, 1, num_samples=400) for name in ("pddm", "hybrid"))
    np.testing.assert_array_equal(one.actions, two.actions)
    np.testing.assert_array_equal(before.mean, after.mean)


def test_sampling_leaves_time_for_the_gradient(monkeypatch: Any) -> None:
    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(hybrid, "time", clock)
    monkeypatch.setattr(sampling, "time", clock)
    planner = make_planner("hybrid", A, {**SMALL, "gradient_share": 0.25})
    assert planner._sampling_until(8.0) == 6.0
    clock.now = 9.0
    assert planner._sampling_until(8.0) == 8.0  # late already
    result, _ = planner.plan(Hill(), planner.initial_state(0), deadline=0.0)
    assert result.valid
