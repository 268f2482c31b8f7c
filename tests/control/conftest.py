# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A three-joint hand with a valve, and a model whose physics is plain: joints go where they are told."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.config import ControllerConfig, SafetyConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.safety import Safety
from mbrl_controller.planning.catalog import make_planner

CONTRACT = """
format_version: 1
robot: small
task: valve
control_period_s: 0.05
state:
  - {topic: joint_states, type: sensor_msgs/msg/JointState, fields: [position, velocity], max_age_s: 0.2,
     joints: [J0, J1, J2]}
  - {topic: valve/joint_states, type: sensor_msgs/msg/JointState, fields: [position, velocity], max_age_s: 0.2,
     joints: [valve]}
command:
  topic: hand/commands
  type: std_msgs/msg/Float64MultiArray
  safe: SAFE
  joints:
    - {name: J0, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
    - {name: J1, lower: -0.5, upper: 1.0, neutral: 0.1, max_rate: 2.0}
    - {name: J2, lower: -1.0, upper: 0.4, neutral: 0.2, max_rate: 1.0}
"""


class PlainModel:
    """Joints reach their targets at once; their mean turns the valve. Two members that differ by `spread`."""

    version = "plain"
    disagreement_limit: float | None = 1.0

    def __init__(self, spread: float = 0.0, broken: bool = False) -> None:
        self.spread, self.broken = spread, broken
        self.delta_scale = np.ones(8)

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        n, h, a = actions.shape
        states = np.zeros((2, n, h, len(state)))
        states[..., :a] = actions
        states[..., 2 * a] = state[2 * a] + np.cumsum(actions.mean(-1), axis=1)
        states[1] += self.spread
        return states * np.nan if self.broken else states


def make_contract(safe: str = "hold") -> RobotContract:
    return parse_contract(CONTRACT.replace("SAFE", safe))


def make_core(
    contract: RobotContract | None = None, model: object = None, safety: SafetyConfig | None = None, **config: object
) -> ControllerCore:
    contract = contract or make_contract()
    planner = make_planner("pddm", 3, {"num_samples": 8, "horizon": 4})
    return ControllerCore(
        contract,
        model or PlainModel(),  # type: ignore[arg-type]
        planner,
        ControllerConfig(**config),
        Safety(contract.action, safety or SafetyConfig(ramp_s=0.0), contract.file.command.safe),
    )


@pytest.fixture
def core() -> ControllerCore:
    return make_core()
