# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is mixed is asked for, and what things are of is shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("mujoco")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.simulation.scene import load_scene


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, words, env={"COLUMNS": "250"})
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def paw(tmp_path: Path) -> Path:
    """The claw's contract and world under another robot's name."""
    shutil.copytree(share_dir() / "sim" / "valve", tmp_path / "sim")
    scene, contract = tmp_path / "sim" / "scene.yaml", tmp_path / "paw.yaml"
    scene.write_text(scene.read_text().replace("robot: claw", "robot: paw"))
    text = contract_for("valve").text.replace("robot: claw", "robot: paw")
    contract.write_text(text.replace("format_version: 1", "format_version: 2\nscene: sim/scene.yaml", 1))
    return contract


def test_a_model_of_another_robot_is_asked_for(paw: Path) -> None:
    models = str(share_dir() / "models")
    words = ("evaluate", "valve", "--contract", str(paw), "--models-dir", models, "--episodes", "1", "--seconds", "0.1",
             "--processes", "1", "--planner-set", "num_samples=8")  # fmt: skip
    said = run(*words, code=2)
    assert "is of robot 'claw', the contract says 'paw'" in said
    assert "--mix robots" in said
    assert "goal" in run(*words, "--mix", "robots")


@pytest.mark.parametrize("command", ["evaluate", "collect", "retrain", "learn", "demo"])
def test_what_cannot_be_mixed_is_named(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBRL_HOME", str(tmp_path))
    assert "known: robots, worlds" in run(command, "valve", "--mix", "hands", code=2)


def test_worlds_are_listed_with_what_is_in_them(paw: Path) -> None:
    said = run("worlds", "--contract", str(paw))
    assert f"sim:{load_scene(contract_for('valve')).digest[:16]}" in said
    (row,) = [line for line in said.splitlines() if "paw" in line.split()]
    assert "valve" in row
    (row,) = [line for line in said.splitlines() if " baoding " in line]
    assert "ball_a, ball_b" in row


def test_a_world_that_cannot_be_used_says_why_and_the_others_are_listed(paw: Path) -> None:
    (paw.parent / "sim" / "claw.xml").write_text("<mujoco><worldbody><geom/></worldbody></mujoco>")
    said = run("worlds", "--contract", str(paw))
    assert "cannot be used" in said
    assert "ball_a, ball_b" in said


def test_episodes_say_their_world(tmp_path: Path) -> None:
    run("collect", "valve", "--policy", "random", "--episodes", "1", "--seconds", "0.3", "--session", "s",
        "--episodes-dir", str(tmp_path), "--processes", "1")  # fmt: skip
    world = f"sim:{load_scene(contract_for('valve')).digest[:16]}"
    assert world in run("episodes", "list", str(tmp_path))
    assert world in run("episodes", "info", str(next(tmp_path.rglob("*.mcap"))))
