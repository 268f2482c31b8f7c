# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sim, controller and logger together, in lockstep: the log is what happened, to the bit."""

from __future__ import annotations

import uuid

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.models.origin import simulated_world
from mbrl_controller.simulation.hand_simulation import HandSimulation

pytestmark = pytest.mark.ros
CONTRACT = share_dir() / "config" / "claw_valve.yaml"
STEPS = 8


def test_a_lockstep_session_is_logged_as_it_was_simulated(ros, still_models, tmp_path):
    contract = load_contract(CONTRACT)
    space = f"/hand_{uuid.uuid4().hex[:8]}"
    namespace = ("--ros-args", "-r", f"__ns:={space}", "--")
    common = {"contract": str(CONTRACT), "autostart": True}
    logged = tmp_path / "episodes"
    ros.start("mbrl_controller.nodes.logger", common | {"log_dir": str(logged)}, *namespace)
    ros.start("mbrl_controller.nodes.sim", common | {"lockstep": True}, *namespace)
    seen = ros.diagnostics(f"{space[1:]}/logger: logging")
    # In lockstep an episode may be over before DDS has brought logger and sim together.
    ros.wait(lambda: seen and seen[-1][2]["silent topics"] == f"{space}/controller/command", "the logger to hear")
    controller = common | {
        "models_dir": str(still_models),
        "lockstep": True,
        "session": "night",
        "episode_s": STEPS * contract.action.period,
        "auto_reset": True,
        "reset_service": "sim/reset",
        "planner.num_samples": 16,
    }
    ros.start("mbrl_controller.nodes.controller", controller, *namespace)
    folder = logged / "valve" / "night"
    # Episodes take less time here than DDS may need to bring two nodes together, topic by topic: the first ones may be
    # missed, or logged in part.
    ros.wait(lambda: len(list(folder.glob("*.mcap"))) >= 12, "logged episodes")
    for file in sorted(folder.glob("*.mcap"))[-3:-1]:
        seed = int(file.stem.rpartition("_")[2])  # each episode begins with a reset, each reset takes the next seed
        episode = read_episode(file, contract)
        found = transitions(episode)
        assert episode.complete
        assert set(found.skipped) <= {"outside the episode"}  # the next one's first command, while the file lingers
        assert not episode.rejected
        assert episode.closed["reason"] == "timeout"
        assert len(found) == STEPS
        # the state's messages hold what the simulation computed, and the commands what it was told
        simulation = HandSimulation(contract)
        assert episode.info.world == simulated_world(simulation.scene.digest)
        assert found.state[0].tobytes() == simulation.reset(seed).tobytes()
        for action, after in zip(found.action, found.next_state, strict=True):
            assert simulation.step(action).tobytes() == after.tobytes()
        assert len(episode.goals) >= STEPS
        assert len(episode.ticks["reward"]) >= STEPS
