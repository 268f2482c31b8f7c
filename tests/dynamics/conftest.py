# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A hand with two joints, a box that one of them pushes and a dial (periodic) that the other turns: known physics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.spaces import ActionSpace, wrap_angle

JOINTS = ("A", "B")
ACTION = ActionSpace(JOINTS, np.full(2, -1.0), np.full(2, 1.0), np.zeros(2), np.full(2, 3.0), 0.1)


def physics(state: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Next state [N, 5] of state [N, 5] under joint targets [N, 2]."""
    q, x, v, dial = state[:, :2], state[:, 2], state[:, 3], state[:, 4]
    move = 0.7 * (ACTION.limit(target, q) - q)
    v_next = 0.8 * v + 2.0 * move[:, 0]
    return np.column_stack([q + move, x * 0.95 + 0.1 * v_next, v_next, wrap_angle(dial + 0.2 + 2.0 * move[:, 1])])


def record(episodes: int, steps: int, seed: int = 0, physics: Callable = physics) -> TransitionSet:
    """Episodes of random targets, all started with the same distribution."""
    rng = np.random.default_rng(seed)
    state = np.column_stack([rng.uniform(-0.5, 0.5, (episodes, 4)), rng.uniform(-np.pi, np.pi, episodes)])
    states, targets = [state], []
    for _ in range(steps):
        targets.append(rng.uniform(-1, 1, (episodes, 2)))
        states.append(physics(states[-1], targets[-1]))

    def flat(values: list) -> np.ndarray:
        return np.stack(values, 1).reshape(episodes * steps, -1)

    return TransitionSet(
        flat(states[:-1]),
        flat(targets),
        flat(states[1:]),
        np.repeat(np.arange(episodes), steps),
        np.tile(np.arange(steps), episodes),
        tuple(f"seed{seed}-{i:03d}" for i in range(episodes)),
    )


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_physics() -> Callable:
    return physics


@pytest.fixture(scope="session")
def toy_record() -> Callable[..., TransitionSet]:
    return record


@pytest.fixture(scope="session")
def toy_action() -> ActionSpace:
    return ACTION


@pytest.fixture(scope="session")
def toy_spec() -> ModelSpec:
    return ModelSpec(
        task="toy",
        robot="two_joints",
        state_names=("A.position", "B.position", "box.position.x", "box.velocity.x", "dial.angle"),
        state_units=("rad", "rad", "m", "m/s", "rad"),
        periodic=(4,),
        action_names=JOINTS,
        action_units=("rad", "rad"),
        action_lower=(-1.0, -1.0),
        action_upper=(1.0, 1.0),
        action_max_rate=(3.0, 3.0),
        control_period_s=0.1,
        ensemble_size=2,
        hidden=(32, 32),
    )
