# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where gradients are compared: the simulated hand in a state with a goal and a plan, and the simulator's own slope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.planning.noise import noise_basis
from mbrl_controller.planning.objective import RolloutObjective
from mbrl_controller.planning.terminal_value import TerminalValue
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.oracle import OracleRollout
from mbrl_controller.tasks.spaces import Array

LATEST = 15  # control steps at random before the state
WANDER = 0.5  # standard deviation of the commands meanwhile, and of the plan, normalised actions
AHEAD = 50  # goals beyond the plan, as far as a value may look
LEAST = 1e-3  # reward per unit of an action: a smaller slope is none, as of fingers that touch nothing
TRIES = 50  # seeds for each state that is wanted
STEP = 0.01  # of an action, for the simulator's finite differences: contacts are rough below


@dataclass(frozen=True)
class Situation:
    """A state [S] in which the simulation is, goals [L, G] ahead of it, and a plan [H, A] in [-1, 1]."""

    contract: RobotContract
    core: ControllerConfig
    state: Array
    goals: Array
    plan: Array
    oracle: OracleRollout

    def objective(self, model: Any, horizon: int, terminal: TerminalValue | None = None) -> RolloutObjective:
        """Returns over the plan's first `horizon` steps, as `model` predicts."""
        return RolloutObjective(
            model=model,
            task=self.contract.task,
            action=self.contract.action,
            risk=self.core.risk,
            drop_cost=self.core.drop_cost,
            state=self.state,
            goal=self.goals[:horizon],
            terminal=terminal,
        )

    def slope(self, horizon: int) -> Array:
        """The simulator's gradient [H, A] of the return by the plan's first actions, by central differences."""
        plan = self.plan[:horizon]
        moves = STEP * np.eye(plan.size).reshape(-1, *plan.shape)
        candidates = np.concatenate([plan + moves, plan - moves])
        ahead, behind = np.split(self.objective(self.oracle, horizon)(candidates), 2)
        return np.asarray((ahead - behind) / (2 * STEP)).reshape(plan.shape)


def situations(contract: RobotContract, core: ControllerConfig, count: int, horizon: int) -> Iterator[Situation]:
    """`count` situations, the same each time; use each before the next: they share the simulation.

    Only such in which the plan matters to the return: where the simulator has a slope.

    Args:
        contract: of the hand.
        core: risk and cost of a drop.
        count: how many.
        horizon: of the plans.

    Raises:
        MbrlError: hardly a plan matters.
    """
    hand = HandEnv(HandSimulation(contract))
    basis = noise_basis("coloured", horizon)
    done = seed = 0
    with OracleRollout(hand.simulation, threads=1) as oracle:
        while done < count:
            if seed >= TRIES * count:
                raise MbrlError(f"in {seed} states only {done} have a return that a plan of {horizon} steps changes")
            rng = np.random.default_rng([seed, 18])
            hand.reset(seed)
            action = np.zeros(len(contract.action))
            for _ in range(rng.integers(1, LATEST + 1)):
                action = np.clip(action + WANDER * rng.standard_normal(len(action)) / 2, -1.0, 1.0)
                hand.step(contract.action.to_target(action))
            state = hand.simulation.state()
            seed += 1
            if contract.task.at_risk(state):
                continue
            times = contract.action.period * np.arange(1, horizon + 1 + AHEAD)
            goals = contract.task.sample_goal(rng).at(times)
            white = rng.standard_normal((basis.shape[1], len(action)))
            plan = np.clip(action + WANDER * basis @ white, -0.95, 0.95)
            found = Situation(contract, core, state, goals, plan, oracle)
            if np.linalg.norm(found.slope(horizon)) >= LEAST:
                done += 1
                yield found
