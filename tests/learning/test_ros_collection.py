# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Learning through the running nodes: the logger's episodes are what it learns from, and a stop loses none of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("torch")

from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.learning import logged_episodes, schedule
from mbrl_controller.learning import ros_collection as ros_collect
from mbrl_controller.learning.log import read_rows
from mbrl_controller.learning.task_plan import make_plan
from mbrl_controller.rollouts.config import RolloutConfig

from ..commands import finish, nodes_of
from .test_run import SHORT, SMALL


def learn(home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "MBRL_HOME": str(home), "COLUMNS": "160", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mbrl_controller", "learn", "valve", "--run", "run", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.ros
@pytest.mark.slow
def test_a_round_through_the_nodes_survives_a_stop(tmp_path: Path) -> None:
    pairs = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}".replace(" ", ""))]
    process = learn(tmp_path, "--through-ros", *pairs)
    folder = tmp_path / "runs" / "learn" / "valve" / "run"
    logged = folder / "episodes" / "valve"
    deadline = time.monotonic() + 90
    while not list(logged.glob("r001-plain/*.mcap")):
        assert time.monotonic() < deadline
        assert process.poll() is None, finish(process)
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process, timeout=60)
    assert code == 130, out + err
    assert "--resume" in out
    assert not nodes_of(tmp_path)
    before = {path: path.read_bytes() for path in logged.glob("r001-plain/*.mcap")}

    code, out, err = finish(learn(tmp_path, "--resume"))
    assert code == 0, out + err
    rows = read_rows(folder / "log.jsonl")
    assert [row.step for row in rows] == ["random", "train", "evaluate", "collect", "train", "evaluate"]
    assert {path: path.read_bytes() for path in before} == before
    episodes = [read_episode(path) for path in sorted(logged.glob("r001-*/*.mcap"))]
    assert len(episodes) >= 2 * SHORT["episodes"]
    assert rows[4].transitions == pytest.approx(rows[3].env_steps, abs=3 * len(episodes))
    for episode in episodes:
        assert episode.complete
        assert (episode.info.source, episode.info.model_version) == ("logger", "v0001")
        assert logged_episodes.read_metrics(episode.path, episode.contract).steps <= 11  # of 1 s at 10 Hz
    assert not nodes_of(tmp_path)


def test_the_nodes_get_what_lockstep_would_plan_with(tmp_path: Path) -> None:
    from mbrl_controller.nodes.controller_options import general_specs, planner_specs

    settings = {
        "collect": [
            {
                "name": "bold",
                "episodes": 5,
                "planner": {"beta": 1, "num_samples": 300},
                "core": {"risk": {"k": 0}, "drop_cost": 7},
                "exploration": 0.1,
                "goal": {"lead": 0.3},
                "start_turn": 1,
            }
        ],
        "through_ros": True,
    }
    settings |= {"sim": "foreign_elliptic", "sim_options": {"condim": 6}}
    plan = make_plan("baoding", settings=settings)
    (bold,) = schedule.round_batches(plan, contract_for("baoding"), 1, 0)
    nodes = ros_collect.stack_config(
        plan,
        bold,
        contract=contract_for("baoding"),
        contract_file=tmp_path / "contract.yaml",
        version="v0001",
        models_dir=tmp_path / "models",
        episodes_dir=tmp_path / "episodes",
    ).parameters()
    controller, sim = nodes["controller"], nodes["sim"]
    known = {spec.name: spec.default for spec in [*general_specs(), *planner_specs("pddm")]}
    assert controller.keys() <= known.keys()
    for name, value in controller.items():
        assert isinstance(value, type(known[name])), name
    assert [controller[f"planner.{name}"] for name in ("beta", "num_samples")] == [1.0, 300]
    assert [controller[name] for name in ("risk.kind", "risk.k", "drop_cost")] == [plan.core.risk.kind, 0.0, 7.0]
    assert [controller[name] for name in ("max_goal_lead", "delay")] == [plan.core.max_goal_lead, plan.core.delay]
    for name, value in {**plan.planner, "beta": 1.0, "num_samples": 300}.items():
        assert controller.get(f"planner.{name}", []) == value
    assert (controller["goal_options"], controller["exploration_noise"]) == ("phase=observed, lead=0.3", 0.1)
    assert sim["options.start_turn"] == 1.0
    assert (sim["preset"], sim["options.condim"]) == ("foreign_elliptic", [6])
    assert nodes["logger"]["log_dir"] == str(tmp_path / "episodes")


def test_a_session_that_was_interrupted_has_several_folders(tmp_path: Path) -> None:
    batch = schedule.EpisodeBatch("r001-plain", 4, 0, RolloutConfig("valve"))
    for name in ("r001-plain", "r001-plain_again002", "r001-plain_again001", "r001-plain-again", "r0011"):
        (tmp_path / name).mkdir()
    found = [folder.name for folder in ros_collect.batch_folders(tmp_path, batch)]
    assert found == ["r001-plain", "r001-plain_again001", "r001-plain_again002"]
