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
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import transitions
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


def test_the_logger_has_of_a_lockstep_session_the_velocities_of_the_environment(ros, tmp_path: Path) -> None:
    file = poses(tmp_path)
    contract = load_contract(file)
    space = f"/hand_{uuid.uuid4().hex[:8]}"
    namespace = ("--ros-args", "-r", f"__ns:={space}", "--")
    common = {"contract": str(file), "autostart": True}
    ros.start("mbrl_controller.nodes.logger", common | {"log_dir": str(tmp_path)}, *namespace)
    ros.start("mbrl_controller.nodes.sim", common | {"lockstep": True, "seed": SEED}, *namespace)
    seen = ros.diagnostics(f"{space[1:]}/logger: logging")
    ros.wait(lambda: seen and seen[-1][2]["silent topics"] == f"{space}/controller/command", "the logger to hear")
    controller = common | {
        "lockstep": True,
        "session": "night",
        "episode_s": STEPS * contract.action.period,
        "auto_reset": True,
        "reset_service": "sim/reset",
        "planner.name": "random",
    }
    ros.start("mbrl_controller.nodes.controller", controller, *namespace)
    folder = tmp_path / "baoding" / "night"
    ros.wait(lambda: len(list(folder.glob("*.mcap"))) >= 8, "logged episodes")  # the first ones may lack messages
    episodes = [read_episode(path, contract) for path in sorted(folder.glob("*.mcap"))[-4:-1]]
    whole = [episode for episode in episodes if episode.closed["reason"] == "timeout"]
    assert whole, "each one was dropped"
    for episode in whole:
        found = transitions(episode)
        assert (len(found), dict(episode.rejected)) == (STEPS, {})
        env = HandEnv(HandSimulation(contract))
        assert found.state[0] == pytest.approx(env.reset(SEED + episode.info.episode)[1], abs=1e-9)
        for action, after in zip(found.action, found.next_state, strict=True):
            assert after == pytest.approx(env.step(action)[1], abs=1e-9)


def test_late_and_lost_poses_make_the_velocities_of_the_environment_too(ros, tmp_path: Path) -> None:
    options = {"observation_latency": 0.02, "drop_probability": 0.3, "object_noise": 0.002}
    file = poses(tmp_path)
    contract = load_contract(file)
    rng = np.random.default_rng(0)
    commands = contract.action.to_target(rng.uniform(-1, 1, (STEPS, len(contract.action))))
    env = HandEnv(HandSimulation(contract, SimOptions(**options)))
    expected = [env.reset(SEED)[1], *(env.step(command)[1] for command in commands)]

    space = f"/hand_{uuid.uuid4().hex[:8]}"
    sets: list[np.ndarray] = []
    inputs = StateInput(contract, lambda: sets.append(inputs.observation(None, None).state))

    def take(source: Any, data: bytes) -> None:
        inputs.receive(source.key, ros_messages.decode(data, source.type), 0.0)

    for source in contract.sources:
        profile = qos.lockstep_sensor(contract, source)
        ros.node.create_subscription(
            message_class(source.type), f"{space}/{source.topic}", functools.partial(take, source), profile, raw=True
        )
    given = {"contract": str(file), "lockstep": True, "seed": SEED} | {f"options.{k}": v for k, v in options.items()}
    ros.start("mbrl_controller.nodes.sim", given, "--ros-args", "-r", f"__ns:={space}", "--")
    topic = f"{space}/{contract.destinations[0].topic}"
    publisher = ros.publisher(topic, Float64MultiArray, qos.COMMAND)
    ros.wait(lambda: sets, "a state")  # perhaps twice: until DDS has brought all together it is sent again
    for k, command in enumerate(commands):
        before = len(sets)
        publisher.publish(Float64MultiArray(data=command.tolist()))
        ros.wait(lambda before=before: len(sets) > before, f"state {k + 1}")
        assert sets[-1] == pytest.approx(expected[k + 1], abs=1e-9)
