# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Options are the same wherever they make sense, take the names that nodes and learning runs use, and complete."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

pytest.importorskip("mujoco")

from mbrl_controller.base.deprecated import RenamedWarning
from mbrl_controller.base.option_rows import option_names
from mbrl_controller.base.resources import share_dir
from mbrl_controller.cli import completion
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.main import app
from mbrl_controller.cli.option_groups import GROUPS, given_options, options_model
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.task_config import contract_path
from mbrl_controller.tasks.catalog import TASKS

from .test_named_commands import COMMANDS

SIMULATES = ("evaluate", "film", "collect", "learn", "demo", "soak", "benchmark loop")


def flags(command: str) -> set[str]:
    return {flag for parameter in COMMANDS[f"mbrl {command}"].params for flag in parameter.opts}


@pytest.mark.parametrize("command", SIMULATES)
def test_whatever_simulates_a_hand_takes_the_hand_and_the_simulation(command: str) -> None:
    assert {"--contract", "--sim", "--sim-set"} <= flags(command)


@pytest.mark.parametrize("command", ["evaluate", "film", "collect"])
def test_whatever_plans_in_one_process_takes_what_it_plans_with(command: str) -> None:
    assert {"--dynamics", "--planner", "--planner-set", "--controller-set"} <= flags(command)


def test_no_command_has_a_task_of_its_own() -> None:
    of_a_new_contract = "mbrl contract new"  # a task that needs no object
    for name, command in COMMANDS.items():
        for parameter in command.params:
            assert parameter.name != "task" or not parameter.default or name == of_a_new_contract, name


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_option_of_a_group_says_what_it_means_and_completes(group: str) -> None:
    pytest.importorskip("matplotlib")
    rows = list(completion.complete_options(group)(SimpleNamespace(params={}), ""))
    assert [name for name, _ in rows] == [f"{name}=" for name in option_names(options_model(group))]
    for name, meaning in rows:
        assert meaning or name in ("task=", "contract_folder="), name


def test_names_of_options_complete_from_their_beginning_and_for_the_planner_asked_for() -> None:
    planner = SimpleNamespace(params={"planner": "cem"})
    names = [name for name, _ in completion.complete_options("planner")(planner, "elite")]
    assert names
    assert all(name.startswith("elite") for name in names)
    assert not list(completion.complete_options("planner")(SimpleNamespace(params={}), "elite"))


def test_names_of_what_is_installed_complete() -> None:
    assert "baoding" in completion.complete_tasks("bao")
    assert completion.complete_planners("pd") == ["pddm"]
    assert completion.complete_sims("p") == ["perturbed"]
    contracts = completion.complete_contracts("")
    assert {"adroit_baoding.yaml", "hands/allegro_v4.yaml"} <= set(contracts)
    assert all("robot" in yaml.safe_load((share_dir() / "config" / name).read_text()) for name in contracts)


@pytest.mark.parametrize(
    ("group", "pairs", "expected"),
    [
        ("controller", ["risk.kind=mean"], {"risk": {"kind": "mean"}}),
        ("controller", ["core.risk.k=2", "drop_cost=3"], {"risk": {"k": 2}, "drop_cost": 3}),
        ("planner", ["planner.num_samples=7"], {"num_samples": 7}),
        ("training", ["training.hidden=[64,64]", "batch=9"], {"hidden": [64, 64], "batch": 9}),
        ("sim", ["options.friction=0.1"], {"friction": 0.1}),
        ("learn", ["training.batch=9", "collect.plain.episodes=2"],
         {"training": {"batch": 9}, "collect": {"plain": {"episodes": 2}}}),
    ],
)  # fmt: skip
def test_the_names_of_parameters_and_of_learning_runs_are_taken(group: str, pairs: list[str], expected: dict) -> None:
    assert given_options(group, pairs) == expected


@given(k=st.floats(0, 100), cost=st.floats(0, 1e6))
def test_dotted_and_nested_options_mean_the_same(k: float, cost: float) -> None:
    given = given_options("controller", [f"risk.k={k!r}", f"drop_cost={cost!r}"])
    assert ControllerConfig(**given) == ControllerConfig(risk={"k": k}, drop_cost=cost)


def test_the_contract_says_which_task(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_task("spin") == "spin"
    assert chosen_task(None, contract_path("valve")) == "valve"
    monkeypatch.setattr(TASKS, "names", lambda: ["lift"])
    assert chosen_task(None) == "lift"


def test_without_a_task_the_installed_ones_are_named() -> None:
    with pytest.warns(RenamedWarning, match=r"Installed: baoding, .*valve"):
        assert chosen_task(None) == "baoding"


def test_collect_takes_the_simulator_as_the_model(tmp_path: Path) -> None:
    words = ["collect", "--contract", "claw_valve.yaml", "--dynamics", "oracle", "--planner-set", "num_samples=4"]
    words += ["--sim-set", "joint_noise=0.01", "--episodes", "1", "--seconds", "0.3", "--processes", "1"]
    result = CliRunner().invoke(app, [*words, "--episodes-dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "valve").rglob("*.mcap"))) == 1


def test_all_groups_are_listed_without_a_name_and_core_is_the_controllers() -> None:
    pytest.importorskip("matplotlib")
    every = CliRunner().invoke(app, ["options"], env={"COLUMNS": "300"})
    assert every.exit_code == 0, every.output
    for name in ("training.hidden", "num_samples", "risk.kind", "collect.NAME.episodes", "joint_noise"):
        assert name in every.output
    core = CliRunner().invoke(app, ["options", "core"], env={"COLUMNS": "300"})
    assert "drop_cost" in core.output
