# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A first model on a hand that has no simulation, as docs/first_model.md says: no world is known for its robot, and its
driver is a process that knows nothing of this package."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("torch")

from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes.metadata import CONTROLLER
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.learning.log import read_rows
from mbrl_controller.models.registry import Registry

from ..trained_valve import TINY
from .conftest import SMALL_HAND

pytestmark = [pytest.mark.ros, pytest.mark.slow]

DRIVER = Path(__file__).with_name("driver_double.py")
TRAINING = [part for name, value in TINY.items() for part in ("--set", f"NAME{name}={value}".replace(" ", ""))]
RUN = {
    "rounds": 1,
    "random_episodes": 5,
    "random_seconds": 3.2,
    "collect.plain.episodes": 2,
    "collect.plain.seconds": 1.0,
    "collect.explore.episodes": 0,
    "threads": 1,
    "precision": "fp32",
    "planner.num_samples": 16,
}


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.yaml"
    path.write_text(SMALL_HAND.replace("max_age_s: 0.5", "max_age_s: 0.5, max_silence_s: 0.5"))  # a busy machine
    return path


def mbrl(ros: Any, home: Path, *arguments: str) -> str:
    """Run a command to its end, while this process handles messages; what it said."""
    command = [sys.executable, "-m", "mbrl_controller", *arguments]
    environment = {**ros.env, "MBRL_HOME": str(home), "COLUMNS": "200"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        out, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, out
    return out


def test_random_motion_then_a_model_then_rounds_on_the_hand_itself(ros: Any, contract: Path, tmp_path: Path) -> None:
    ros.start_script(DRIVER)
    settings = [part for name, value in RUN.items() for part in ("--set", f"{name}={value}")]
    training = [part.replace("NAME", "training.") for part in TRAINING]
    mbrl(ros, tmp_path, *f"learn valve --contract {contract} --through-ros --run first".split(), *settings, *training)
    folder = tmp_path / "runs" / "learn" / "valve" / "first"
    random, trained, collected, evaluated = read_rows(folder / "log.jsonl")
    assert [random.step, trained.step, collected.step, evaluated.step] == ["random", "train", "collect", "evaluate"]
    assert random.episodes is not None
    assert random.episodes >= RUN["random_episodes"]
    assert trained.version == collected.version == evaluated.version == "v0001"
    assert evaluated.return_mean is not None
    robot = load_contract(contract)
    for path in sorted((folder / "episodes" / "valve").rglob("*.mcap")):
        episode = read_episode(path, robot)
        version = "" if "random" in path.parent.name else "v0001"
        assert (episode.info.commanded_by, episode.info.model_version) == (CONTROLLER, version)
        if "plain" in path.parent.name:
            assert (episode.ticks["source"] == 3).any()  # a plan
            assert np.isfinite(episode.ticks["disagreement"]).any()


def test_anybodys_motion_gives_a_model(ros: Any, contract: Path, tmp_path: Path) -> None:
    contract.write_text(contract.read_text().replace("control_period_s: 0.05", "control_period_s: 0.02"))
    ros.start_script(DRIVER)
    log = tmp_path / "log"
    ros.start("mbrl_controller.nodes.logger", {"contract": str(contract), "log_dir": str(log), "autostart": True})
    commander = ros.publisher("hand/commands", Float64MultiArray, subscribers=2)
    rng = np.random.default_rng(0)
    for _ in range(2):
        ros.wait(lambda: ros.call("logger/begin_episode", Trigger).success, "an episode's begin")
        target = np.zeros(3)
        for _ in range(180):  # at a rate of its own: 40 Hz, where the contract says 50
            target = np.clip(target + rng.uniform(-0.05, 0.05, 3), -0.8, 0.8)
            commander.publish(Float64MultiArray(data=target.tolist()))
            due = time.monotonic() + 1 / 40
            ros.wait(lambda due=due: time.monotonic() >= due, "the next command")
        assert ros.call("logger/end_episode", Trigger).success
    files = sorted(log.rglob("*.mcap"))
    assert len(files) == 2
    training = [part.replace("NAME", "") for part in TRAINING]
    mbrl(ros, tmp_path, *f"retrain valve --contract {contract} --episodes {log}".split(), *training)
    robots = [version.card().spec.robot for version in Registry(tmp_path / "models").versions("valve")]
    assert robots.count("small") == 1
