# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A package that is not ours brings a task, a planner, a contract and a world; no file of ours names it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = '''
from dataclasses import replace
from pathlib import Path
from mbrl_controller.planning.random_shooting import RandomShootingPlanner
from mbrl_controller.tasks.metrics import Metric
from mbrl_controller.tasks.valve import Valve


class Spin(Valve):
    """Turn the valve, whatever the angle."""

    name = "spin"
    defaults = {"planners": {"timid": {"num_samples": 8, "horizon": 2}}}
    metric_specs = (Metric("turns", "rev", "up", levels=(0.5,), decimals=3),)

    def metrics(self, states, actions, goals, period):
        found = super().metrics(states, actions, goals, period)
        return replace(found, values={"turns": abs(states[-1, self._angle] - states[0, self._angle]) / 6.2832})

    def reward(self, state, action, goal):
        return super().reward(state, action, goal) * 0 + 1.0


class Timid(RandomShootingPlanner):
    """Plans as random shooting does."""

    name = "timid"


def share():
    return Path(__file__).parent / "share"
'''
POINTS = """[mbrl_controller.tasks]
spin = spinning:Spin
[mbrl_controller.planners]
timid = spinning:Timid
[mbrl_controller.share]
spinning = spinning:share
"""


@pytest.fixture
def spinning(tmp_path: Path) -> Path:
    """The folder of the installed package."""
    folder = tmp_path / "site"
    info = folder / "spinning-0.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spinning\nVersion: 0.5\n")
    (info / "entry_points.txt").write_text(POINTS)
    (folder / "spinning.py").write_text(CODE)
    share = folder / "share"
    (share / "config").mkdir(parents=True)
    contract = (ROOT / "config" / "claw_valve.yaml").read_text()
    (share / "config" / "spin_claw.yaml").write_text(contract.replace("task: valve", "task: spin"))
    shutil.copytree(ROOT / "sim" / "valve", share / "sim" / "spin")
    scene = share / "sim" / "spin" / "scene.yaml"
    scene.write_text(scene.read_text().replace("task: valve", "task: spin"))
    return folder


def mbrl(home: Path, site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    environment = {**os.environ, "PYTHONPATH": paths, "MBRL_HOME": str(home), "COLUMNS": "160"}
    command = [sys.executable, "-m", "mbrl_controller", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_it_is_listed_with_its_package(spinning: Path, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    for listing, name in (("tasks", "spin"), ("planners", "timid")):
        done = mbrl(tmp_path, spinning, listing)
        assert done.returncode == 0, done.stderr
        assert any(line.split()[:3] == [name, "spinning", "0.5"] for line in done.stdout.splitlines()), done.stdout
    assert "spin" in mbrl(tmp_path, spinning, "worlds").stdout
    assert "num_samples" in mbrl(tmp_path, spinning, "options", "planner", "--planner", "timid").stdout


def test_its_task_and_planner_run_with_its_contract_alone(spinning: Path, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    figures = tmp_path / "figures.json"
    words = [
        "--planner",
        "timid",
        "--dynamics",
        "oracle",
        "--episodes",
        "1",
        "--seconds",
        "0.5",
        "--json",
        str(figures),
    ]
    contract = ["--contract", str(spinning / "share" / "config" / "spin_claw.yaml")]
    done = mbrl(tmp_path, spinning, "evaluate", "spin", *contract, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(figures.read_text())["return_mean"] == pytest.approx(5.0)


def test_its_own_metrics_are_in_tables_progress_and_curves(spinning: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    contract = ["--contract", str(spinning / "share" / "config" / "spin_claw.yaml")]
    short = ["--policy", "hold", "--episodes", "2", "--seconds", "0.3"]
    done = mbrl(tmp_path, spinning, "evaluate", "spin", *contract, *short)
    (row,) = (line.split() for line in done.stdout.splitlines() if "turns_median" in line)
    assert row[-2:] == ["rev", "up"]
    assert "success_0.5" in done.stdout
    assert "degrees" not in done.stdout
    settings = ["random_episodes=2", "random_seconds=11", "training.max_epochs=1", "training.hidden=[4,4]"]
    settings += [
        "precision=fp32",
        "threads=1",
        "training.ensemble_size=2",
        "evaluate_episodes=2",
        "planner.num_samples=8",
        "planner.horizon=2",
    ]
    run = ["--run", "one", "--runs-dir", str(tmp_path / "runs"), "--rounds", "1", "--processes", "1"]
    learnt = mbrl(tmp_path, spinning, "learn", "spin", *contract, *run, *(f"--set={option}" for option in settings))
    assert learnt.returncode == 0, learnt.stderr
    assert learnt.stderr.count(">=0.5 rev ") == 2  # of the random episodes, and of the evaluation
    assert "turns 0." in learnt.stderr
    folder = tmp_path / "runs" / "learn" / "spin" / "one"
    assert (folder / "curve.png").stat().st_size > 1000
    compared = [*("learn-curve", str(folder)), "--plot", str(tmp_path / "curves.png")]
    assert "turns" in mbrl(tmp_path, tmp_path, *compared).stdout  # where the package is not installed any more


def test_with_an_entry_of_its_own_tasks_yaml_the_name_suffices(spinning: Path, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    refused = mbrl(tmp_path, spinning, "evaluate", "spin", "--policy", "hold", "--episodes", "1", "--seconds", "0.5")
    assert refused.returncode == 2
    assert "--contract" in refused.stderr
    (spinning / "share" / "config" / "tasks.yaml").write_text("spin: {contract: spin_claw.yaml}\n")
    done = mbrl(tmp_path, spinning, "evaluate", "spin", "--policy", "hold", "--episodes", "1", "--seconds", "0.5")
    assert done.returncode == 0, done.stderr


def test_it_does_not_disturb_what_is_ours(spinning: Path, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    (spinning / "spinning.py").write_text("raise RuntimeError('broken')\n")
    done = mbrl(tmp_path, spinning, "evaluate", "valve", "--policy", "hold", "--episodes", "1", "--seconds", "0.5")
    assert done.returncode == 0, done.stderr
    listed = mbrl(tmp_path, spinning, "tasks")
    assert listed.returncode == 0
    assert "valve" in listed.stdout
    assert "spinning 0.5" in listed.stderr
    assert "broken" in listed.stderr
    refused = mbrl(tmp_path, spinning, "evaluate", "spin", "--policy", "hold")
    assert refused.returncode == 2
    assert "spinning 0.5" in refused.stderr


def test_without_it_its_name_is_unknown(tmp_path: Path) -> None:
    done = mbrl(tmp_path, tmp_path, "evaluate", "spin", "--policy", "hold")
    assert done.returncode == 2
    assert "reach, valve" in done.stderr
