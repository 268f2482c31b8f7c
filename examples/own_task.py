# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Ask the hand for something else: the reward changes, the learned model stays (extra `sim`).

The valve's task is to turn it to an angle. This one keeps it turning, with the same robot, model and simulated world.
"""

from __future__ import annotations

from mbrl_controller.rollouts import evaluate
from mbrl_controller.rollouts.config import RolloutConfig
from mbrl_controller.tasks.catalog import TASKS
from mbrl_controller.tasks.spaces import Array
from mbrl_controller.tasks.valve import Valve


class SpinValve(Valve):
    """The valve should turn counterclockwise, as fast as it can. The goal angle counts for nothing."""

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        """Per control period: the valve's velocity (rad/s)."""
        (valve,) = self.state.indices(["valve.velocity"])
        return state[..., valve]


TASKS.add("valve", SpinValve)  # in place of ours, before a contract is read; a new task: docs/own_task.md

if __name__ == "__main__":
    config = RolloutConfig("valve", goal_options={"direction": "counterclockwise"})  # which way degrees count
    report = evaluate.run(config, episodes=2, processes=1)
    print(f"turned by {report['degrees_turned_median']:.0f} degrees in 4 s, mean return {report['return_mean']:.0f}")
