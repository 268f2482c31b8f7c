# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Each example runs as README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="runs in a checkout")


def output(home: Path, name: str, *arguments: str) -> str:
    """What an example prints for a person who has no models or episodes of their own."""
    environment = {**os.environ, "MBRL_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "RenamedWarning" not in done.stderr
    return done.stdout


def test_a_plan_gives_each_joint_an_action_and_has_a_return(tmp_path: Path) -> None:
    text = output(tmp_path, "plan_valve.py")
    assert len(re.findall(r"'F[123]J[123]': -?\d\.\d+", text)) == 9
    assert re.search(r"predicted return of 7 steps: -?\d+\.\d", text)
    assert output(tmp_path, "plan_valve.py") == text


def test_a_log_becomes_arrays(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    text = output(tmp_path, "read_log.py")
    assert "states (40, 20), actions (40, 9), next states (40, 20)" in text


def test_a_folder_of_episodes_becomes_arrays(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    from mbrl_controller.rollouts import collect
    from mbrl_controller.rollouts.config import RolloutConfig

    config = RolloutConfig("valve", policy="hold", seconds=0.5)
    done = collect.run(config, episodes=2, episodes_dir=tmp_path, processes=1)
    text = output(tmp_path, "read_log.py", str(done.folder))
    assert "episode_0002.mcap" in text
    assert "states (10, 20)" in text


def test_an_own_planner_plays_episodes_beside_pddm(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    text = output(tmp_path, "own_planner.py")
    assert re.findall(r"^(\w+): mean return -?\d+", text, re.MULTILINE) == ["pddm", "local_search"]


def test_another_reward_turns_the_valve_on_with_the_same_model(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    turned = re.search(r"turned by (-?\d+) degrees", output(tmp_path, "own_task.py"))
    assert turned is not None
    assert int(turned[1]) > 180  # which the valve's own task asks for at most


def test_the_readme_names_every_example() -> None:
    readme = (ROOT / "README.md").read_text()
    assert not [path.name for path in EXAMPLES.glob("*.py") if f"examples/{path.name}" not in readme]
