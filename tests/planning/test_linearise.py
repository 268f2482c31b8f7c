# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The local model of a rollout objective: through a model whose derivatives are known, and a real task's reward."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.planning.backward_pass import action_gradient, backward_pass, followed
from mbrl_controller.planning.linearise import lost_costs
from mbrl_controller.planning.objective import RolloutObjective
from mbrl_controller.planning.risk import Risk
from mbrl_controller.tasks.baoding import Baoding
from mbrl_controller.tasks.spaces import ActionSpace
from mbrl_controller.tasks.valve import Valve

JOINTS = ("j0", "j1")
VALVE = Valve(JOINTS)
S = len(VALVE.state)
ACTION = ActionSpace(JOINTS, np.full(2, -1.0), np.full(2, 1.0), np.full(2, 0.2), np.full(2, 15.0), 0.1)
SLOW = replace(ACTION, max_rate=np.full(2, 3.0))  # reaches 0.3 rad in a step
H = 4
SCALE = np.full(S, 0.1)
TURNS = np.array([0.5, -0.25])  # of the valve by each joint's motion


class Geared:
    """Joints go where they are told and turn the valve; the members differ by `spread`."""

    def __init__(self, spread: float = 0.0, action: ActionSpace = ACTION) -> None:
        self.action = action
        self.gears = TURNS * np.array([1.0 - spread, 1.0 + spread])[:, None]

    def predict(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        members = np.broadcast_to(state, (2, len(action), S))
        reach = self.action.limit(action, members[..., :2])
        after = members.copy()
        after[..., 4] += ((reach - members[..., :2]) * self.gears[:, None]).sum(-1)
        after[..., 2:4] = (reach - members[..., :2]) / 0.1
        after[..., :2] = reach
        return after

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        states = [np.broadcast_to(state, (2, len(actions), S))]
        for t in range(actions.shape[1]):
            states.append(self.predict(states[-1], actions[:, t]))
        return np.stack(states[1:], 2)


def objective(model: object = None, goal: float = 0.9, **changes) -> RolloutObjective:
    made = RolloutObjective(
        model or Geared(),  # type: ignore[arg-type]
        VALVE,
        ACTION,
        Risk(kind="mean"),
        0.0,
        np.concatenate([ACTION.neutral, np.zeros(S - 2)]),
        np.full((H, 1), goal),
        scale=SCALE,
    )
    return replace(made, **changes)


def plan(size: float = 0.15, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-size, size, (H, 2))


def test_the_jacobians_are_those_of_the_ensembles_mean() -> None:
    local = objective(Geared(spread=0.5)).linearised(plan())
    up, down = 0.9 * 0.8, 0.9 * 1.2  # rad per action on either side of neutral: the step to each counts half
    slope = (up + down) / 2
    found = local.action_jacobian[:, :2]
    assert (np.abs(found[:, range(2), range(2)] - slope) <= (down - up) / 2 + 1e-6).all()
    assert local.action_jacobian[:, 4] == pytest.approx(found[:, range(2), range(2)] * TURNS)
    expected = np.zeros((S, S))
    expected[4, :2], expected[4, 4], expected[5, 5] = -TURNS, 1.0, 1.0
    expected[2:4, :2] = -10 * np.eye(2)
    assert local.state_jacobian == pytest.approx(np.broadcast_to(expected, (H, S, S)), abs=1e-6)


def test_the_states_are_those_that_the_plan_leads_through() -> None:
    made, actions = objective(), plan()
    local = made.linearised(actions)
    assert local.states[0] == pytest.approx(made.state)
    rolled = made.model.rollout(made.state, ACTION.to_target(actions)[None])[0, 0]
    assert local.states[1:] == pytest.approx(rolled)


def test_the_cost_slopes_as_the_return_falls() -> None:
    """Far from the goal the reward is linear in the angle, so the local model says what the objective does."""
    made, actions = objective(goal=2.5), plan()
    gradient = action_gradient(made.linearised(actions))
    direction = np.random.default_rng(1).uniform(-1, 1, (H, 2))
    step = 0.02 * direction
    ahead, behind = made(np.stack([actions + step, actions - step]))
    assert (gradient * step).sum() == pytest.approx((behind - ahead) / 2, rel=0.25)


def test_a_step_of_the_backward_pass_raises_the_true_return() -> None:
    made, actions = objective(goal=0.6), plan()
    local = made.linearised(actions)
    plans = followed(local, backward_pass(local, 0.1), 0.5 ** np.arange(6.0))
    assert made(plans).max() > made(actions[None])[0]


def test_actions_beyond_a_joints_reach_are_brought_back_to_it() -> None:
    local = objective(Geared(action=SLOW), action=SLOW).linearised(np.ones((H, 2)))
    targets = ACTION.to_target(local.actions)
    assert (np.abs(targets - local.states[:-1, :2]) <= 0.3 + 1e-6).all()
    assert (local.lower <= local.actions).all()
    assert (local.actions <= local.upper).all()


def test_being_lost_slopes_before_it_happens_and_costs_the_steps_that_are_left() -> None:
    """Baoding's drop is a jump. A ball near the edge must have a slope away from it, in proportion to what it costs."""
    task = Baoding(JOINTS, center=(0.0, 0.0))
    height = task.state.index("ball_a.position.z")

    class Still:
        def predict(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
            return np.broadcast_to(state, (1, *np.shape(state))).copy()

        def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
            return np.tile(state, (1, *actions.shape[:2], 1))

    state = np.zeros(len(task.state))
    for ball, x in (("ball_a", 0.03), ("ball_b", -0.03)):
        state[task.state.index(f"{ball}.position.x")] = x
        state[task.state.index(f"{ball}.position.z")] = 0.2
    heights = np.linspace(0.0, 0.2, 2001)
    column = np.tile(state, (len(heights), 1))
    column[:, height] = heights
    edge = heights[np.flatnonzero(task.at_risk(column))[-1]]
    state[height] = edge + 0.005
    goals = np.tile([0.03, 0.0, -0.03, 0.0], (H, 1))
    made = RolloutObjective(
        Still(), task, ACTION, Risk(kind="mean"), 20.0, state, goals, scale=np.full(len(task.state), 0.01)
    )
    slopes = made.linearised(np.zeros((H, 2))).cost_gradient[:, height]
    assert (slopes < 0).all()  # higher costs less
    assert slopes / slopes[-1] == pytest.approx(np.arange(H, 0, -1.0))
    state[height] = edge + 0.05  # further than a difference sees
    assert not made.linearised(np.zeros((H, 2))).cost_gradient[:, height].any()


def test_what_being_lost_costs_is_what_the_objective_charges() -> None:
    assert lost_costs(20.0, 3, None).tolist() == [60.0, 40.0, 20.0]
    discount = 0.9
    for step, cost in enumerate(lost_costs(20.0, 3, discount)):
        charged = sum(20.0 * discount**t for t in range(step, 3000))
        assert cost == pytest.approx(charged)


def test_what_follows_the_plan_counts_with_its_discount() -> None:
    terminal = SimpleNamespace(discount=0.5)

    class Value:
        discount = 0.5

        def __call__(self, states: np.ndarray) -> np.ndarray:
            return 3.0 * states[..., 4]

    plain = objective(goal=2.5).linearised(plan())
    local = objective(goal=2.5, terminal=Value()).linearised(plan())
    assert local.cost_gradient[0] == pytest.approx(plain.cost_gradient[0])
    assert local.cost_gradient[1] == pytest.approx(0.5 * plain.cost_gradient[1])
    last = terminal.discount ** (H - 1) * plain.cost_gradient[-1, 4] - 3.0 * terminal.discount**H
    assert local.cost_gradient[-1, 4] == pytest.approx(last, rel=1e-5)


@pytest.mark.parametrize("without", ["predict", "scale"])
def test_a_model_that_cannot_be_linearised_is_refused(without: str) -> None:
    made = objective(SimpleNamespace(rollout=Geared().rollout)) if without == "predict" else objective(scale=None)
    with pytest.raises(MbrlError, match="cannot be linearised"):
        made.linearised(plan())
