# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What robot and world episodes and versions are of: kept, compared, and mixed only if asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.base.run_folder import new_run
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.models.card import ModelCard
from mbrl_controller.models.origin import REAL, Origin
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.simulation.scene import world_digest
from mbrl_controller.training.chosen_world import present_world
from mbrl_controller.training.dataset import load_dataset
from mbrl_controller.training.parent import why_no_parent
from mbrl_controller.training.retrain_plan import RetrainPlan, RetrainRequest, command_of, make_plan, read_plan

CLAW = contract_for("valve")
OTHER = parse_contract(CLAW.text.replace("robot: claw", "robot: paw"))
SIM = "sim:0123456789abcdef"


def episodes(folder: Path, *origins: tuple[str, str]) -> list[Path]:
    """A file for each robot and world."""
    made = []
    for number, (robot, world) in enumerate(origins):
        rng = np.random.default_rng(number)
        states = rng.uniform(-0.3, 0.3, (21, len(CLAW.task.state)))
        commands = rng.uniform(-0.3, 0.3, (20, len(CLAW.action)))
        info = EpisodeInfo("s", number, world=world)
        contract = CLAW if robot == "claw" else OTHER
        made.append(write_trajectory(folder / f"{number}.mcap", contract, info, states, commands))
    return made


def test_an_episode_keeps_its_world(tmp_path):
    files = episodes(tmp_path, ("claw", SIM), ("claw", ""))
    assert [read_info(path).world for path in files] == [SIM, ""]


def test_worlds_are_mixed_only_if_asked_for(tmp_path):
    files = episodes(tmp_path, ("claw", SIM), ("claw", REAL))
    with pytest.raises(DatasetError, match="different worlds"):
        load_dataset(files, CLAW)
    data = load_dataset(files, CLAW, mix=("worlds",))
    assert len(data.files) == 2
    assert {(o.world, o.episodes) for o in data.origins} == {(SIM, 1), (REAL, 1)}


def test_episodes_that_do_not_say_are_taken_with_others(tmp_path):
    data = load_dataset(episodes(tmp_path, ("claw", SIM), ("claw", "")), CLAW)
    assert [(o.world, o.episodes) for o in data.origins] == [("", 1), (SIM, 1)]


def test_robots_are_mixed_only_if_asked_for(tmp_path):
    files = episodes(tmp_path, ("claw", SIM), ("paw", SIM))
    alone = load_dataset(files, CLAW)
    assert alone.files == (files[0],)
    assert "robot is paw, not claw" in alone.unused_files[str(files[1])]
    both = load_dataset(files, CLAW, mix=("robots",))
    assert {o.robot for o in both.origins} == {"claw", "paw"}


def test_a_plan_refuses_before_anything_is_read(tmp_path):
    episodes(tmp_path / "e", ("claw", SIM), ("claw", REAL), ("paw", "sim:other"))
    request = RetrainRequest("valve", episodes=[tmp_path / "e"], models_dir=tmp_path / "models")
    registry = Registry(tmp_path / "models", shipped=tmp_path / "models")
    with pytest.raises(DatasetError, match=rf"(?s)real.*{SIM}.*--mix worlds") as caught:
        make_plan(request, registry)
    assert "sim:other" not in str(caught.value)  # another robot's, which would not be read
    plan = make_plan(RetrainRequest("valve", episodes=[tmp_path / "e"], mix="worlds"), registry)
    assert plan.mix == ("worlds",)
    assert "--mix worlds" in command_of(plan)


def test_only_the_present_world_is_learnt_from(tmp_path):
    present = f"sim:{world_digest(CLAW)[:16]}"
    episodes(tmp_path / "e", ("claw", SIM), ("claw", present), ("claw", ""), ("claw", REAL), ("paw", present))
    registry = Registry(tmp_path / "models", shipped=tmp_path / "models")

    def plan(world: str) -> RetrainPlan:
        return make_plan(RetrainRequest("valve", episodes=[tmp_path / "e"], world=world), registry)

    with pytest.raises(DatasetError, match=f"{present}: --world current"):
        plan("")
    chosen = plan("current")
    assert [Path(path).name for path in chosen.files] == ["1.mcap", "4.mcap"]  # reading names the other robot
    assert (chosen.world, chosen.left_out) == (present, 3)
    assert f"--world {present}" in command_of(chosen)
    assert [Path(path).name for path in plan("real").files] == ["3.mcap", "4.mcap"]
    assert read_plan(new_run(tmp_path / "runs", chosen.model_dump_json())) == chosen
    with pytest.raises(DatasetError, match=r"no episode is of world sim:abc; there are: .*real"):
        plan("sim:abc")


def test_a_hand_without_a_simulated_world_is_real(tmp_path):
    assert present_world(OTHER) == REAL
    assert present_world(CLAW).startswith("sim:")


def test_a_version_of_another_world_or_robot_is_no_parent_unless_asked_for():
    spec = ModelSpec.of(CLAW.task, "claw", CLAW.action, 1, (1,))
    card = ModelCard(spec=spec, model_sha256="0" * 64, origins=(Origin(robot="claw", world=SIM, episodes=3),))
    assert why_no_parent(card, CLAW, {SIM, REAL}) == ""
    assert why_no_parent(card, CLAW, set()) == ""  # old episodes
    assert why_no_parent(card.model_copy(update={"origins": ()}), CLAW, {REAL}) == ""  # an old card
    assert "its world is sim:0123456789abcdef, not real" in why_no_parent(card, CLAW, {REAL})
    assert why_no_parent(card, CLAW, {REAL}, ("worlds",)) == ""
    assert "robot" in why_no_parent(card, OTHER, {SIM})
    assert why_no_parent(card, OTHER, {SIM}, ("robots",)) == ""
