# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The package in examples/leap_cube, from outside: found through entry points, and taken through every command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "leap_cube"
SMALL = ["hidden=[16,16]", "max_epochs=1", "horizon=1", "ensemble_size=2"]
FIRST_ROUND = ["random_episodes=8", "random_scales=[1.0]", "random_seconds=3.0", "rounds=1", "evaluate_episodes=1"]

pytestmark = pytest.mark.skipif(not EXAMPLE.is_dir(), reason="runs in a checkout")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed package: a copy, with its entry points beside it."""
    pytest.importorskip("mujoco")
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("site") / "leap_cube"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".*"))
    subprocess.run([sys.executable, "setup.py", "-q", "egg_info"], cwd=folder, check=True, timeout=60)
    return folder


def python(site: Path, *words: str, folder: Path | None = None) -> str:
    """What a command prints that finds the package."""
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    environment = {**os.environ, "PYTHONPATH": paths, "MBRL_HOME": str(site / "home"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def mbrl(site: Path, *words: str) -> str:
    return python(site, "-m", "mbrl_controller", *words)


def test_its_own_tests_pass(site: Path) -> None:
    text = python(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=site)
    assert int(text.split(" passed")[0].split()[-1]) > 25


def test_it_is_listed_and_planned_for_with_the_simulator_as_the_model(site: Path, tmp_path: Path) -> None:
    assert "leap_cube 0.1.0" in mbrl(site, "tasks")
    few = ["--planner-set", "num_samples=16", "--planner-set", "horizon=3", "--episodes", "1", "--seconds", "0.5"]
    file = tmp_path / "figures.json"
    mbrl(site, "evaluate", "leap_cube", "--dynamics", "oracle", *few, "--json", str(file), "--processes", "1")
    figures = json.loads(file.read_text())
    assert figures["kept_rate"] == 1.0
    assert "degrees_turned_median" in figures


def test_it_is_a_gymnasium_environment_that_the_checker_takes(site: Path) -> None:
    code = (
        "import gymnasium, mbrl_controller.rollouts.environments; from gymnasium.utils.env_checker import check_env; "
        "env = gymnasium.make('mbrl_controller/LeapCube-v0'); check_env(env.unwrapped, skip_render_check=True); "
        "print(env.action_space.shape)"
    )
    assert python(site, "-W", "ignore", "-c", code).strip() == "(16,)"


@pytest.mark.slow
def test_a_model_is_learnt_retrained_and_runs_in_the_nodes(site: Path) -> None:
    pytest.importorskip("torch")
    settings = [f"--set={name}" for name in (*FIRST_ROUND, *(f"training.{option}" for option in SMALL))]
    once = ["--env-steps", "300", "--processes", "1", "--set=precision=fp32", "--set=planner.num_samples=16"]
    text = mbrl(site, "learn", "leap_cube", *once, *settings, "--keep")
    assert "leap_cube v0001 is current" in text
    mbrl(site, "collect", "leap_cube", "--policy", "random", "--episodes", "4", "--seconds", "6", "--processes", "1")
    small = [f"--set={option}" for option in SMALL]
    text = mbrl(site, "retrain", "leap_cube", *small, "--precision", "fp32", "--threads", "1", "--force")
    assert "v0002" in text
    pytest.importorskip("rclpy")
    assert "degrees turned" in mbrl(site, "demo", "leap_cube", "--headless", "--seconds", "2")


def test_no_line_of_the_package_names_it() -> None:
    files = [path for path in (ROOT / "mbrl_controller").rglob("*") if path.suffix in (".py", ".in", ".yaml")]
    files += [path for folder in ("config", "launch", "sim") for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert len(files) > 250
    assert not [str(path) for path in files if "leap_cube" in path.read_text(errors="replace")]
