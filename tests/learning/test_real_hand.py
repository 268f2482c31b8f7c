# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Learning on a hand for which no simulated world is known. tests/ros/test_first_model.py does it with a driver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.learning import schedule
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.logged_episodes import evaluate_logged, read_metrics
from mbrl_controller.learning.ros_collection import _prepare, stack_config
from mbrl_controller.learning.task_plan import make_plan

NO_WORLD = (share_dir() / "config" / "claw_valve.yaml").read_text().replace("robot: claw", "robot: mine")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(NO_WORLD)
    return path


def test_where_no_world_is_known_the_hand_is_real(mine: Path) -> None:
    assert make_plan("valve").hand == "sim"
    plan = make_plan("valve", contract=mine, settings={"through_ros": True})
    assert (plan.hand, plan.random_episodes) == ("real", 60)
    assert LearnPlan.model_validate_json(plan.model_dump_json()) == plan


def test_a_world_that_a_contract_names_is_taken(mine: Path) -> None:
    mine.write_text(NO_WORLD.replace("format_version: 1", "format_version: 2\nscene: scene.yaml"))
    assert make_plan("valve", contract=mine).hand == "sim"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "--through-ros"),
        ({"through_ros": True, "acceptance_test": "not_worse"}, "acceptance_test"),
        ({"through_ros": True, "planner_name": "random"}, "planner_name"),
        ({"through_ros": True, "collect.plain.start_turn": 1.0}, "start_turn"),
    ],
)
def test_what_a_real_hand_cannot_do_is_refused(mine: Path, settings: dict, said: str) -> None:
    with pytest.raises(MbrlError, match=said):
        make_plan("valve", contract=mine, settings=settings)


def test_a_real_hands_random_motion_comes_through_the_nodes_without_a_sim(mine: Path, tmp_path: Path) -> None:
    settings = {"through_ros": True, "random_scales": [0.3], "random_seconds": 2.0, "reset_service": "/driver/reset"}
    plan = make_plan("valve", contract=mine, settings=settings)
    (batch,) = schedule.random_batches(plan)
    nodes = stack_config(
        plan,
        batch,
        contract=load_contract(mine),
        contract_file=mine,
        version="",
        models_dir=tmp_path / "models",
        episodes_dir=tmp_path / "episodes",
    ).parameters()
    assert set(nodes) == {"controller", "logger"}
    controller = nodes["controller"]
    assert controller["planner.name"] == "random"
    assert [controller[name] for name in ("planner.exploration_range", "episode_s")] == [0.3, 2.0]
    assert (controller["reset_service"], controller["auto_reset"]) == ("/driver/reset", True)


def test_collected_episodes_are_an_evaluation_in_which_a_drop_costs_the_steps_that_are_left(tmp_path: Path) -> None:
    contract, steps = contract_for("baoding"), 20
    task = contract.task
    states = np.zeros((steps + 1, len(task.state)))
    states[:, [i for i, name in enumerate(task.state.names) if name.endswith("position.z")]] = 0.2
    dropped = states.copy()
    dropped[6:, [i for i, name in enumerate(task.state.names) if name.endswith("position.z")]] = 0.0
    commands, goals = np.zeros((steps, len(contract.action))), np.zeros((steps + 1, len(task.goal)))
    for number, (seen, length) in enumerate(((states, steps), (dropped, 6))):
        path = tmp_path / f"episode_{number:04d}.mcap"
        info = EpisodeInfo("s", number)
        write_trajectory(path, contract, info, seen[: length + 1], commands[:length], goals[: length + 1])
    seconds = steps * contract.action.period
    figures = evaluate_logged([(seconds, [tmp_path])], contract)
    kept, lost = (read_metrics(tmp_path / f"episode_{n:04d}.mcap", contract).metrics for n in range(2))
    assert kept is not None
    assert lost is not None
    assert lost.dropped
    cost = task.drop_cost * (steps - 6)
    assert figures["return_mean"] == pytest.approx((kept.episode_return + lost.episode_return - cost) / 2)
    assert (figures["episodes"], figures["kept_rate"]) == (2, 0.5)
    assert "steps" not in figures


def test_a_driver_that_is_not_there_is_said_to_be_missing(mine: Path, tmp_path: Path) -> None:
    class NobodyThere:
        def prepare(self, group: object) -> None:
            raise MbrlError("no publisher of joint_states: not within 30 s")

    plan = make_plan("valve", contract=mine, settings={"through_ros": True})
    (batch,) = schedule.random_batches(plan)
    folders = {"contract_file": mine, "models_dir": tmp_path, "episodes_dir": tmp_path}
    config = stack_config(plan, batch, contract=load_contract(mine), version="", **folders)
    with pytest.raises(MbrlError, match="joint_states: not within 30 s; the hand's own driver must run"):
        _prepare(NobodyThere(), config, None)  # type: ignore[arg-type]
