# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Control under latency is compared as it says: the same seeds, the latency shared out, and only what differs does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark import delay
from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import planner_defaults
from mbrl_controller.rollouts.config import resolve

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(autouse=True)
def shipped_as_own(tmp_path_factory, monkeypatch) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(MODELS)
    monkeypatch.setenv("MBRL_HOME", str(home))
    monkeypatch.setattr("mbrl_controller.benchmark.control_quality.usable_cores", lambda: 1)


@pytest.fixture
def short(monkeypatch) -> None:
    """Half a second of valve with eight candidates."""
    original = delay.under

    def under(*arguments):
        who = original(*arguments)
        return type(who)(**vars(who) | {"seconds": 0.5, "planner_options": {"num_samples": 8}})

    monkeypatch.setattr(delay, "under", under)
    monkeypatch.setattr(delay, "ERROR_EPISODES", 1)


@pytest.mark.parametrize("task", ["baoding", "valve"])
def test_a_latency_is_shared_out_and_the_controller_told_what_no_stamp_says(task: str) -> None:
    plan = resolve(delay.under(task, 0.1, "measured")).spec
    assert plan.sim.observation_latency + plan.sim.command_latency == pytest.approx(0.1)
    assert plan.core.delay_s == pytest.approx(plan.sim.command_latency)
    assert plan.core.model_copy(update={"delay_s": 0.0}) == planner_defaults(task, "pddm").core


def test_the_report_has_a_row_for_each_case_and_pairs_them(short, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(delay, "LATENCIES", (0.0, 0.15))
    file = tmp_path / "delay.json"
    result = CliRunner().invoke(
        app, ["benchmark", "delay", "--contract", "claw_valve.yaml", "--episodes", "2", "--json", str(file)]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(file.read_text())
    cases = [(row["latency_ms"], row["compensation"]) for row in report["rows"]]
    assert cases == [(0.0, "none"), (0.0, "measured"), (150.0, "none"), (150.0, "measured")]
    assert [row["drops"] for row in report["rows"]] == [0] * 4
    still, late = report["pairs"]
    assert still["return_difference"] == 0.0  # without latency there is nothing to compensate
    assert late["return_difference"] != 0.0
    assert [row["latency_ms"] for row in report["errors"]] == [150.0]


def test_compensation_is_nearer_to_the_truth_than_whole_periods_and_those_than_nothing() -> None:
    errors = delay.state_errors("valve", 0.15)
    assert errors["compensated"] < errors["whole_periods"] < errors["as_measured"]


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(MbrlError, match="unknown task 'nosuch'"):
        delay.run(["nosuch"])
