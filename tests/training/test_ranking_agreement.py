# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Figures by which a quantised model is let through: against values worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mbrl_controller.planning.risk import Risk
from mbrl_controller.tasks.spaces import ActionSpace
from mbrl_controller.training.ranking_agreement import rank_correlation, ranking_agreement

ACTION = ActionSpace(("A", "B"), np.full(2, -1.0), np.full(2, 1.0), np.zeros(2), np.full(2, 3.0), 0.1)
N, H = 20, 3


class Planner:
    """Tries the same candidates from every state, and remembers what it was asked."""

    config = SimpleNamespace(horizon=H)

    def __init__(self) -> None:
        self.begun: list[tuple[int, list[float]]] = []

    def initial_state(self, seed: int, last: np.ndarray) -> None:
        self.begun.append((seed, last.tolist()))

    def candidates(self, state: None) -> np.ndarray:
        return np.zeros((N, H, 2), dtype=np.float32)


class Task:
    """Rewards the only entry of the state."""

    def __init__(self) -> None:
        self.goals: list[np.ndarray] = []

    def reward(self, states: np.ndarray, targets: np.ndarray, goals: np.ndarray) -> np.ndarray:
        self.goals.append(goals[:, 0].copy())
        return states[..., 0]

    def at_risk(self, states: np.ndarray) -> np.ndarray:
        return np.zeros(states.shape[:-1], dtype=bool)


class Model:
    """The return of each candidate, by the number that the state holds."""

    def __init__(self, *returns: Any) -> None:
        self.returns = [np.asarray(r, dtype=float) for r in returns]

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        states = np.zeros((1, N, H, 1))
        states[0, :, 0, 0] = self.returns[int(state[0])]
        return states


class Goal:
    def at(self, times: np.ndarray) -> np.ndarray:
        return times[:, None]


def compared(one: Model, two: Model, **options: Any) -> dict[str, float]:
    count = len(one.returns)
    return ranking_agreement(
        one, two, options.pop("planner", Planner()), options.pop("task", Task()), ACTION, Risk(kind="mean"), 0.0,
        np.arange(count)[:, None], np.full((count, 2), 0.45), [Goal()] * count, **options,
    )  # type: ignore[arg-type]  # fmt: skip


RISING = np.arange(float(N))


def test_models_that_say_the_same_agree_in_all() -> None:
    found = compared(Model(RISING), Model(3 * RISING - 7))
    assert found == pytest.approx(
        {"rank_median": 1, "rank_worst": 1, "elite_median": 1, "elite_worst": 1, "regret_median": 0}
    )


def test_models_that_say_the_opposite_agree_in_nothing() -> None:
    found = compared(Model(RISING), Model(-RISING))
    assert (found["rank_median"], found["elite_median"]) == (pytest.approx(-1.0), 0.0)
    assert found["regret_median"] == pytest.approx(19 / RISING.std())


def test_the_best_tenth_and_what_the_others_best_loses() -> None:
    """Two of twenty: of 19 and 18 the other has one, and its own best is worth 5 by the reference's count."""
    other = RISING.copy()
    other[18], other[5] = 5.0, 30.0
    found = compared(Model(RISING), Model(other))
    assert found["elite_median"] == 0.5
    assert found["regret_median"] == pytest.approx((19 - 5) / RISING.std())


def test_medians_and_worst_of_the_states() -> None:
    half = RISING.copy()
    half[18], half[5] = 5.0, 30.0
    found = compared(Model(*[RISING] * 5), Model(RISING, RISING, half, half, -RISING))
    regrets = np.array([0, 0, 14, 14, 19]) / RISING.std()
    assert found["regret_median"] == pytest.approx(np.median(regrets))
    assert (found["elite_median"], found["elite_worst"]) == (0.5, 0.0)
    assert found["rank_worst"] == pytest.approx(-1.0)
    assert found["rank_median"] == pytest.approx(rank_correlation(RISING, half))


def test_returns_that_are_no_numbers_are_the_worst_and_leave_the_spread_alone() -> None:
    some = RISING.copy()
    some[:4] = np.nan
    assert compared(Model(some), Model(-RISING[::-1]))["regret_median"] == 0.0
    best = np.zeros(N)
    best[10] = 1.0
    assert compared(Model(some), Model(best))["regret_median"] == pytest.approx(9 / some[4:].std())
    nothing = np.full(N, np.nan)
    assert compared(Model(nothing), Model(RISING))["regret_median"] == 0.0
    assert compared(Model(np.ones(N)), Model(RISING))["regret_median"] == 0.0


def test_each_state_has_its_own_numbers_its_last_command_and_the_goal_of_the_steps_ahead() -> None:
    planner, task = Planner(), Task()
    compared(Model(RISING, RISING), Model(RISING, RISING), planner=planner, task=task, seed=5)
    assert planner.begun == [(5, [pytest.approx(0.5)] * 2), (6, [pytest.approx(0.5)] * 2)]
    for goals in task.goals:
        assert goals == pytest.approx([0.1, 0.2, 0.3])


def test_as_many_goals_as_states() -> None:
    with pytest.raises(ValueError, match="zip"):
        ranking_agreement(Model(RISING), Model(RISING), Planner(), Task(), ACTION, Risk(), 0.0,
                  np.zeros((2, 1)), np.zeros((2, 2)), [Goal()])  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 21, 500], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 0.8),
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / np.sqrt(4.5 * 5)),  # equal values share the mean of their ranks
        ([1, 1, 1, 2], [2, 1, 1, 1], -1 / 3),
        ([5, 5, 5], [7, 7, 7], 1.0),
        ([5, 5, 5], [1, 2, 3], 0.0),
        ([1, 2, 3], [5, 5, 5], 0.0),
    ],
)
def test_rank_correlations_worked_out_by_hand(one: list[float], two: list[float], expected: float) -> None:
    assert rank_correlation(np.array(one, dtype=float), np.array(two, dtype=float)) == pytest.approx(expected)
