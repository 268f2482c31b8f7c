# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How often a simulated tracker measures, and that a derived velocity is the same wherever it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.simulation.env import HandEnv, RealTimeHand
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.measuring import schedule
from mbrl_controller.simulation.sim_options import NOMINAL, SimOptions
from mbrl_controller.tasks.spaces import Array

from .probe import CUBE, HAND_ENTRIES, of_object, probe_contract

CONTRACT_TEXT = """
format_version: 1
robot: small
task: baoding
task_options: {wrist_joint: J0, center: [0.0, 0.01], period: 6.0}
control_period_s: PERIOD
state:
  - {topic: joints, type: sensor_msgs/msg/JointState, joints: [J0]}
  - {topic: a, type: geometry_msgs/msg/PoseStamped, object: ball_a, rate_hz: RATE}
  - {topic: b, type: nav_msgs/msg/Odometry, object: ball_b}
command: {topic: c, type: std_msgs/msg/Float64MultiArray,
  joints: [{name: J0, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}]}
"""
QUANTITIES = ("position", "velocity", "orientation", "angular_velocity")
STEPS = 6


def tracked(folder: Path, **source: Any) -> RobotContract:
    """The probe with a cube on its palm, told of by poses."""
    plain = probe_contract(folder, [*HAND_ENTRIES, *of_object("cube", *QUANTITIES)], objects={"cube": CUBE})
    document = yaml.safe_load(plain.text)
    document["state"][-1] |= {"type": "geometry_msgs/msg/PoseStamped"} | source
    return parse_contract(yaml.safe_dump(document), folder=folder)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> RobotContract:
    return tracked(tmp_path_factory.mktemp("tracked"))


def targets(contract: RobotContract) -> Array:
    """Commands [STEPS, A] (rad) that keep the palm, and so the cube, moving."""
    swing = np.sin(np.arange(STEPS))[:, None] * np.array([1.0, 0.3, -0.3])
    return contract.action.to_target(swing)


@settings(max_examples=30)
@given(st.floats(1.0, 1000.0), st.integers(1, 60), st.integers(1, 60))
def test_a_period_has_its_share_of_measurements_the_last_at_its_end(rate: float, substeps: int, every: int) -> None:
    text = CONTRACT_TEXT.replace("RATE", str(rate)).replace("PERIOD", str(round(0.002 * substeps, 9)))
    made = parse_contract(text)
    moments = schedule(made, substeps, every)

    assert sum(moment.steps for moment in moments) == substeps
    assert all(moment.steps > 0 for moment in moments)
    key = made.sources[1].key
    due = [moment for moment in moments if key in moment.due]
    assert len(due) == max(1, min(substeps, round(rate * substeps * 0.002)))
    assert moments[-1].due == (key,)


@pytest.mark.parametrize("rate", [20.0, 60.0, 100.0, 500.0])
def test_in_real_time_a_tracker_measures_at_its_own_rate(tmp_path: Path, rate: float) -> None:
    contract = tracked(tmp_path, rate_hz=rate)
    hand = RealTimeHand(contract, NOMINAL)
    hand.reset(0)
    delivered = [m for _ in range(50) for m in hand.advance(0.02)]
    stamps = [m.stamp for m in delivered if m.source.derived]

    assert len(stamps) == round(rate) + 1  # also at 0
    assert np.abs(np.array(stamps) - np.arange(len(stamps)) / rate).max() < 0.002 + 1e-9  # a physics step
    assert len(delivered) - len(stamps) == 50 * (len(contract.sources) - 1)


def test_a_lost_pose_is_missed_by_the_estimate_and_a_late_one_comes_later(contract: RobotContract) -> None:
    options = SimOptions(observation_latency=0.02, drop_probability=0.5)
    hand = HandEnv(HandSimulation(contract, options))
    hand.reset(0)
    counts, period = [], contract.action.period
    for k, target in enumerate(targets(contract), start=1):
        stamp, _ = hand.step(target)
        poses = [m.stamp for m in hand.measurements if m.source.derived]
        counts.append(len(poses))
        assert poses == sorted(poses)
        assert all(at <= k * period - 0.02 + 1e-9 for at in poses)
        assert stamp <= k * period - 0.02 + 1e-9
    assert 0 < sum(counts) < 5 * STEPS


def test_log_and_dataset_and_live_and_real_time_have_the_velocity_of_the_environment(
    contract: RobotContract, tmp_path: Path
) -> None:
    env = HandEnv(HandSimulation(contract))
    stamp, state = env.reset(1)
    states, sent = [state], [[(m.source.key, m.values, m.stamp) for m in env.measurements]]
    commands = targets(contract)
    for target in commands:
        stamp, state = env.step(target)
        states.append(state)
        sent.append([(m.source.key, m.values, m.stamp) for m in env.measurements])
    assert stamp == pytest.approx(STEPS * contract.action.period)
    spin = contract.task.state.indices(of_object("cube", "angular_velocity"))
    assert np.abs(np.array(states)[:, spin]).max() > 0.5
    assert [len(arrived) for arrived in sent] == [len(contract.sources)] + [len(contract.sources) + 4] * STEPS

    file = write_trajectory(
        tmp_path / "episode.mcap", contract, EpisodeInfo("s", 0), np.array(states), commands, measurements=sent
    )
    logged = transitions(read_episode(file))
    assert logged.state == pytest.approx(np.array(states[:-1]), abs=1e-9)
    assert logged.next_state == pytest.approx(np.array(states[1:]), abs=1e-9)

    for offset in (0, 1_700_000_000_000_000_000):  # ns
        inputs, live = StateInput(contract), []
        for arrived in sent:
            for key, values, seconds in arrived:
                source = next(source for source in contract.sources if source.key == key)
                at = offset + 1_000_000_000 + ros_messages.to_ns(seconds)
                inputs.receive(key, source_message(source, values, at), 0.0)
            live.append(inputs.observation(None, None).state)
        # At the time of day a stamp in float seconds resolves .2 us of the 10 ms between two poses.
        assert np.array(live) == pytest.approx(np.array(states), abs=1e-9 if not offset else 1e-3)

    hand, inputs = RealTimeHand(contract, NOMINAL), StateInput(contract)
    hand.reset(1)
    real_time = []
    for k in range(STEPS):
        hand.command(commands[k])
        for _ in range(5):
            for m in hand.advance(0.01):
                at = 1_000_000_000 + ros_messages.to_ns(m.stamp)
                inputs.receive(m.source.key, source_message(m.source, m.values, at, stamped=False), 0.0)
        real_time.append(inputs.observation(None, None).state)
    assert np.array(real_time) == pytest.approx(np.array(states[1:]), abs=1e-9)
