# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""iLQR as a planner: on a problem whose best plan is known, under deadlines, and with what objectives give it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.planning import ilqr
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.local_model import LocalModel

H, A = 6, 2
GOAL = np.array([0.4, -0.3])


@dataclass
class Carts:
    """Two points that actions accelerate, x and v each; the reward is quadratic about GOAL. Counts what it is asked."""

    start: np.ndarray = field(default_factory=lambda: np.zeros(2 * A))
    proposals: np.ndarray | None = None
    judged: list[int] = field(default_factory=list)
    linearisations: int = 0
    A_t = np.block([[np.eye(A), 0.3 * np.eye(A)], [np.zeros((A, A)), np.eye(A)]])
    B_t = np.concatenate([np.zeros((A, A)), 0.8 * np.eye(A)])

    def states(self, actions: np.ndarray) -> np.ndarray:
        rows = [np.broadcast_to(self.start, (*actions.shape[:-2], 2 * A))]
        for t in range(actions.shape[-2]):
            rows.append(rows[-1] @ self.A_t.T + actions[..., t, :] @ self.B_t.T)
        return np.stack(rows, -2)

    def __call__(self, candidates: np.ndarray) -> np.ndarray:
        self.judged.append(len(candidates))
        states = self.states(np.asarray(candidates, dtype=float))[..., 1:, :]
        off = states[..., :A] - GOAL
        return -(off**2).sum((-2, -1)) - 0.01 * (candidates**2).sum((-2, -1))

    def linearised(self, actions: np.ndarray) -> LocalModel:
        self.linearisations += 1
        states, S = self.states(actions), 2 * A
        gradient, hessian = np.zeros((H, S + A)), np.zeros((H, S + A, S + A))
        gradient[:, :A] = 2 * (states[1:, :A] - GOAL)
        gradient[:, S:] = 0.02 * actions
        hessian[:, range(A), range(A)] = 2.0
        hessian[:, range(S, S + A), range(S, S + A)] = 0.02
        ones = np.ones((H, A))
        return LocalModel(
            states,
            actions,
            np.tile(self.A_t, (H, 1, 1)),
            np.tile(self.B_t, (H, 1, 1)),
            gradient,
            hessian,
            np.ones(S),
            -ones,
            ones,
        )


def planner(**options) -> ilqr.IlqrPlanner:
    return make_planner("ilqr", A, {"horizon": H, **options})  # type: ignore[return-value]


def best_return(objective: Carts) -> float:
    """By projected gradient descent on the plan itself."""
    plan = np.zeros((H, A))
    for _ in range(4000):
        local = objective.linearised(plan)
        plan = np.clip(plan - 0.02 * ilqr.action_gradient(local), -1, 1)
    return float(objective(plan[None])[0])


def test_it_finds_the_best_plan_within_the_limits() -> None:
    objective = Carts()
    p = planner(iterations=8)
    result, _ = p.plan(objective, p.initial_state())
    assert result.valid
    assert np.abs(result.actions).max() <= 1.0
    assert result.predicted_return == pytest.approx(best_return(Carts()), abs=2e-3)
    assert float(objective(result.actions[None])[0]) == pytest.approx(result.predicted_return, abs=1e-6)


def test_the_same_memory_gives_the_same_plan_to_the_bit() -> None:
    p = planner()
    first, after = p.plan(Carts(), p.initial_state(3))
    again, _ = planner().plan(Carts(), p.initial_state(3))
    assert np.array_equal(first.actions, again.actions)
    assert np.array_equal(after.mean[:-1], first.actions[1:])
    assert np.array_equal(after.last_action, first.actions[0])
    assert after.tick == 1


def test_iterations_never_lose_return_and_the_next_plan_begins_where_this_one_ended() -> None:
    values = [planner(iterations=n).plan(Carts(), planner().initial_state())[0].predicted_return for n in (1, 2, 6)]
    assert values == sorted(values)
    p = planner(iterations=6)
    result, state = p.plan(Carts(), p.initial_state())
    later = Carts(start=Carts().states(result.actions)[1])
    warm, _ = planner(iterations=1).plan(later, state)
    cold, _ = planner(iterations=1).plan(later, p.initial_state())
    assert warm.predicted_return >= cold.predicted_return - 1e-9


def test_a_better_proposal_is_where_it_begins() -> None:
    good, _ = planner(iterations=8).plan(Carts(), planner().initial_state())
    past = {"deadline": -1.0}  # no time for an iteration
    alone, _ = planner().plan(Carts(), planner().initial_state(), **past)
    proposed, _ = planner().plan(Carts(proposals=good.actions[None]), planner().initial_state(), **past)
    assert proposed.iterations == alone.iterations == 0
    assert proposed.predicted_return == pytest.approx(good.predicted_return, abs=1e-4)
    assert proposed.predicted_return > alone.predicted_return
    bad, _ = planner().plan(Carts(proposals=-good.actions[None]), planner().initial_state(), **past)
    assert bad.predicted_return == alone.predicted_return


def test_without_time_the_best_start_is_the_plan_and_it_has_no_gains() -> None:
    objective = Carts()
    p = planner()
    result, _ = p.plan(objective, p.initial_state(), deadline=-1.0)
    assert result.valid
    assert result.gains is None
    assert objective.linearisations == 0
    assert len(objective.judged) == 1


class Clock:
    """Goes on when the objective is asked."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize("budget", [0.5, 1.5, 5.0, 20.0])
def test_it_is_never_late_by_more_than_a_first_iteration_of_unknown_cost(monkeypatch, budget: float) -> None:
    clock = Clock()
    monkeypatch.setattr(ilqr, "time", clock)

    class Timed(Carts):
        def __call__(self, candidates: np.ndarray) -> np.ndarray:
            clock.now += 0.2
            return super().__call__(candidates)

        def linearised(self, actions: np.ndarray) -> LocalModel:
            clock.now += 1.0
            return super().linearised(actions)

    p = planner(iterations=50, regularisation=10.0)
    state, late, done = p.initial_state(), [], []
    for _ in range(6):
        deadline = clock.now + budget
        result, state = p.plan(Timed(), state, deadline)
        late.append(clock.now - deadline)
        done.append(result.iterations)
    assert max(late) <= 1e-9
    assert max(done) <= (budget - 0.2) / 0.2
    if budget > 4:
        assert min(done) >= 1


def test_the_gains_answer_a_state_off_the_plan() -> None:
    objective = Carts()
    p = planner(iterations=8)
    result, _ = p.plan(objective, p.initial_state())
    assert result.gains is not None
    assert result.gains.shape == (H, A, 2 * A)
    nominal = objective.states(result.actions)
    pushed = nominal[0] + np.array([0.05, -0.05, 0.0, 0.0])
    corrected, held = pushed, pushed
    for t in range(H):
        action = np.clip(result.actions[t] + result.gains[t] @ (corrected - nominal[t]), -1, 1)
        corrected = objective.A_t @ corrected + objective.B_t @ action
        held = objective.A_t @ held + objective.B_t @ result.actions[t]
    assert np.linalg.norm(corrected[:A] - nominal[-1, :A]) < np.linalg.norm(held[:A] - nominal[-1, :A])


def test_returns_that_are_not_numbers_leave_the_shifted_plan() -> None:
    objective = Carts()
    p = planner()
    _, state = p.plan(objective, p.initial_state())

    class Broken(Carts):
        def __call__(self, candidates: np.ndarray) -> np.ndarray:
            return np.full(len(candidates), np.nan)

    result, after = p.plan(Broken(), state)
    assert not result.valid
    assert np.array_equal(result.actions, state.mean)
    assert after.tick == state.tick + 1


def test_an_objective_without_a_local_model_is_refused() -> None:
    p = planner()
    with pytest.raises(MbrlError, match="ilqr: the objective has no local model"):
        p.plan(lambda candidates: np.zeros(len(candidates)), p.initial_state())


def test_a_state_of_another_horizon_is_refused() -> None:
    with pytest.raises(ValueError, match="initial_state"):
        planner().plan(Carts(), planner(horizon=H + 1).initial_state())


def test_unknown_options_are_named() -> None:
    with pytest.raises(MbrlError, match="num_samples"):
        planner(num_samples=5)
