# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A planner and a task that are only in the catalogs: commands know them, and evaluate runs with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("mujoco")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import task_defaults
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.planning.sampling import SamplingConfig, SamplingPlanner
from mbrl_controller.simulation import scene_paths
from mbrl_controller.tasks.catalog import TASKS
from mbrl_controller.tasks.valve import Valve


class Still(SamplingPlanner):
    """Every candidate is the neutral action."""

    name = "still"
    config_type = SamplingConfig

    def _sample(self, search, state, rng, count):
        return np.zeros((count, self.config.horizon, self.action_size))

    def _refine(self, search, candidates, returns):
        search.mean, search.predicted_return = search.best, search.best_return


class Knob(Valve):
    """The valve by another name."""

    name = "knob"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A planner and a task in the catalogs; the contract of the task's hand."""
    PLANNERS.add(Still.name, Still)
    TASKS.add(Knob.name, Knob)
    worlds = scene_paths.available()
    world = Path(shutil.copytree(worlds["claw", "valve"].parent, tmp_path / "sim")) / "scene.yaml"
    world.write_text(world.read_text().replace("task: valve", "task: knob"))
    monkeypatch.setattr(scene_paths, "available", lambda: {**worlds, ("claw", "knob"): world})
    contract = tmp_path / "knob.yaml"
    text = (share_dir() / "config" / "claw_valve.yaml").read_text()
    contract.write_text(text.replace("task: valve", "task: knob"))
    yield contract
    PLANNERS.forget()
    TASKS.forget()
    task_defaults.cache_clear()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_evaluate_runs_a_planner_and_a_task_of_the_catalogs(toys: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run("evaluate", "knob", "--contract", str(toys), "--planner", "still", "--dynamics", "oracle", "--episodes", "1",
        "--seconds", "0.3", "--processes", "1", "--planner-set", "num_samples=2", "--json", str(report))  # fmt: skip
    read = json.loads(report.read_text())
    assert (read["task"], read["planner"]) == ("knob", "still")


@pytest.mark.parametrize("command", [("evaluate",), ("benchmark", "planner"), ("learn",), ("models", "show")])
def test_help_names_the_tasks_of_the_catalog(toys: Path, command: tuple[str, ...]) -> None:
    said = run(*command, "--help")
    assert ", ".join(TASKS.names()) in " ".join(said.replace("│", " ").split())  # across the lines of a box
    assert "{tasks}" not in said


def test_help_names_the_planners_of_the_catalog(toys: Path) -> None:
    assert "random_shooting, still" in " ".join(run("evaluate", "--help").split())


@pytest.mark.parametrize("words", [("knob",), ("knob", "--dynamics", "oracle")])
def test_a_task_without_a_contract_of_its_own_asks_for_one(toys: Path, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["evaluate", *words])
    assert result.exit_code == 2
    assert "contract" in result.output


def test_simulated_hands_are_listed_with_what_they_change() -> None:
    said = CliRunner().invoke(app, ["sims"]).stdout
    assert "foreign_elliptic" in said
    assert "elliptic" in said.replace("foreign_elliptic", "")
