# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Velocities of objects that are told of by poses: over DDS, in lockstep, they are those of the environment."""

from __future__ import annotations

import functools
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from std_msgs.msg import Float64MultiArray

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.episodes.writer import EpisodeWriter
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.messages import message_class
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.sim_options import SimOptions

pytestmark = pytest.mark.ros
STEPS = 6
SEED = 3


def poses(folder: Path) -> Path:
    """The shipped contract, its balls told of by poses at other rates."""
    document = yaml.safe_load((share_dir() / "config" / "adroit_baoding.yaml").read_text())
    for source, rate in zip(document["state"][1:], (100.0, 60.0), strict=True):
        source.update(type="geometry_msgs/msg/PoseStamped", rate_hz=rate)
    path = folder / "poses.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize("options", [{}, {"observation_latency": 0.02, "drop_probability": 0.3, "object_noise": 0.002}])
def test_lockstep_and_its_log_have_the_velocities_of_the_environment(ros, tmp_path: Path, options) -> None:
    file = poses(tmp_path)
    contract = load_contract(file)
    rng = np.random.default_rng(0)
    commands = contract.action.to_target(rng.uniform(-1, 1, (STEPS, len(contract.action))))
    env = HandEnv(HandSimulation(contract, SimOptions(**options)))
    expected = [env.reset(SEED)[1], *(env.step(command)[1] for command in commands)]

    space = f"/hand_{uuid.uuid4().hex[:8]}"
    sets: list[np.ndarray] = []
    inputs = StateInput(contract, lambda: sets.append(inputs.observation(None, None).state))
    writer = EpisodeWriter(tmp_path / "episode.mcap", contract, EpisodeInfo("s", 0), flush_s=1e9)
    name = writer.info.topics
    start = ros_messages.NANO  # of a lockstep sim
    writer.write(name["episode"], ros_messages.json_string({"event": "begin", "stamp": 1.0}), start)

    def take(source: Any, data: bytes) -> None:
        writer.write_raw(name[source.key], source.type, data, start)
        inputs.receive(source.key, ros_messages.decode(data, source.type), 0.0)

    for source in contract.sources:
        profile = qos.lockstep_sensor(contract, source)
        ros.node.create_subscription(
            message_class(source.type), f"{space}/{source.topic}", functools.partial(take, source), profile, raw=True
        )
    parameters = {"contract": str(file), "lockstep": True, "seed": SEED}
    given = parameters | {f"options.{key}": value for key, value in options.items()}
    ros.start("mbrl_controller.nodes.sim", given, "--ros-args", "-r", f"__ns:={space}", "--")
    topic = f"{space}/{contract.destinations[0].topic}"
    publisher = ros.publisher(topic, Float64MultiArray, qos.COMMAND)
    ros.wait(lambda: sets, "a state")  # perhaps twice: until DDS has brought all together it is sent again
    for k, command in enumerate(commands):
        before = len(sets)
        stamp = start + k * round(contract.action.period * ros_messages.NANO)
        writer.write(name["command"], ros_messages.joint_state(contract.action.names, command, stamp), stamp)
        publisher.publish(Float64MultiArray(data=command.tolist()))
        ros.wait(lambda before=before: len(sets) > before, f"state {k + 1}")
        assert sets[-1] == pytest.approx(expected[k + 1], abs=1e-9)
    end = start + STEPS * round(contract.action.period * ros_messages.NANO)
    ended = {"event": "end", "stamp": end / ros_messages.NANO}
    writer.write(name["episode"], ros_messages.json_string(ended), end)

    logged = transitions(read_episode(writer.close("timeout")))
    assert len(logged) == STEPS
    if not options:  # of late ones the log knows more: at a tick also those that were still on their way
        assert logged.next_state == pytest.approx(np.array(expected[1:]), abs=1e-9)
