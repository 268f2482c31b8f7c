# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""States that a controller really meets, to plan from."""

from __future__ import annotations

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.tasks.spaces import Array

LONGEST = 10  # control steps
SIZE = 0.2  # standard deviation of the targets around neutral, normalised actions


def start_states(contract: RobotContract, count: int) -> Array:
    """`count` states [count, S]: each after a few steps of small random targets, the objects still in the hand."""
    hand = HandEnv(HandSimulation(contract))
    states: list[Array] = []
    seed = 0
    while len(states) < count:
        rng = np.random.default_rng([seed, 3])
        _, state = hand.reset(seed)
        for _ in range(rng.integers(LONGEST)):
            away = np.clip(SIZE * rng.standard_normal(len(contract.action)), -1.0, 1.0)
            _, state = hand.step(contract.action.to_target(away))
        if not contract.task.at_risk(state):
            states.append(state)
        seed += 1
    return np.array(states)
