# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The lockstep runner speaks each kind of driver and tracker of format 2, and says when a set of states is complete."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from mbrl_controller.contract.command_messages import encode_command
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.episodes import ros_messages
from mbrl_controller.nodes.sim_runners import LockstepRunner
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.sim_options import SimOptions

from ..simulation.probe import CUBE, JOINTS, of_object, probe_contract

STEPS, SEED = 8, 2
JOINT_ENTRIES = [f"{joint}.{q}" for q in ("position", "velocity", "effort") for joint in JOINTS]
QUANTITIES = ("position", "orientation", "velocity", "angular_velocity")


def every_kind(folder: Path) -> RobotContract:
    """A hand in degrees, an array of tactile numbers, a cube by poses in a camera's frame, the pen by odometry."""
    entries = [*JOINT_ENTRIES, "index_touch.value", *of_object("cube", *QUANTITIES), *of_object("pen", *QUANTITIES)]
    plain = probe_contract(folder, entries, objects={"cube": CUBE})
    document = yaml.safe_load(plain.text)
    camera = {"frame_id": "camera", "translation": [0.1, 0.2, 0.5], "rotation": [0.0, 0.6, 0.0, 0.8]}
    hand = {"topic": "hand", "type": "sensor_msgs/msg/JointState", "fields": ["position", "velocity", "effort"]}
    mapping = {"prefix": "right_", "scale": 57.29578, "offset": 90.0, "sign": -1}
    document["state"] = [
        hand | {"joints": list(JOINTS), "as": mapping},
        {"topic": "tips", "type": "std_msgs/msg/Float64MultiArray", "entries": {"index_touch.value": 3}},
        {"topic": "cube", "type": "geometry_msgs/msg/PoseStamped", "object": "cube", "fields": list(QUANTITIES),
         "transform": camera, "rate_hz": 60.0},
        {"topic": "pen", "type": "nav_msgs/msg/Odometry", "object": "pen", "fields": list(QUANTITIES),
         "transform": camera},
    ]  # fmt: skip
    return parse_contract(yaml.safe_dump(document), folder=folder)


class Controller:
    """Publishers of all topics that hand each message to a state input, and what came of it."""

    def __init__(self, contract: RobotContract) -> None:
        self.sets: queue.Queue[Any] = queue.Queue()
        self.inputs = StateInput(contract, lambda: self.sets.put(self.inputs.observation(None, None)))
        self.publishers: dict[str, Any] = {source.topic: _Publisher(self.inputs, source) for source in contract.sources}
        self.faults: list[Exception] = []

    def next_set(self) -> Any:
        return self.sets.get(timeout=60.0)


class _Publisher:
    def __init__(self, inputs: StateInput, source: Any) -> None:
        self._inputs, self._source = inputs, source

    def publish(self, data: bytes) -> None:
        self._inputs.receive(self._source.key, ros_messages.decode(data, self._source.type), 0.0)


@pytest.mark.parametrize(
    "options",
    [
        SimOptions(),
        SimOptions(observation_latency=0.01, drop_probability=0.4, orientation_noise=0.02, array_noise=0.1,
                   effort_noise=0.1, object_noise=0.001, joint_noise=0.01),
    ],
    ids=["nominal", "noisy"],
)  # fmt: skip
def test_each_set_is_what_the_environment_measures(tmp_path: Path, options: SimOptions) -> None:
    contract = every_kind(tmp_path)
    env = HandEnv(HandSimulation(contract, options))
    controller = Controller(contract)
    runner = LockstepRunner(
        contract, options, {"seed": SEED}, controller.publishers, None, controller.faults.append
    )  # fmt: skip
    expected = env.reset(SEED)[1]
    runner.start()
    try:
        for k in range(STEPS):
            observation = controller.next_set()
            assert observation.state == pytest.approx(expected, abs=1e-7)
            target = contract.action.to_target(np.sin(k + np.arange(3.0)))
            expected = env.step(target)[1]
            to = contract.destinations[0]
            values = encode_command(to, target[None], contract.action.period).values
            runner.receive(to.topic, ros_messages.multi_array(values.ravel()))
        assert controller.sets.qsize() <= 1, "a set was complete twice"
        assert not controller.inputs.rejected_total
        if not options.drop_probability:
            at = contract.task.state.indices(["index.effort", "cube.angular_velocity.z"])
            assert np.abs(expected[at]).min() > 1e-3
    finally:
        runner.stop()
    assert not controller.faults
