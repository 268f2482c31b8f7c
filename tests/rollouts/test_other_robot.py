# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which world episodes run in is kept with them, and a model of another robot does not pass by accident."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.rollouts import collect
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.simulation.scene import load_scene


@pytest.fixture
def shadow(tmp_path):
    """Adroit's contract and world under another robot's name."""
    shutil.copytree(share_dir() / "sim" / "baoding", tmp_path / "sim")
    scene, contract = tmp_path / "sim" / "scene.yaml", tmp_path / "shadow.yaml"
    scene.write_text(scene.read_text().replace("robot: adroit", "robot: shadow"))
    text = contract_for("baoding").text.replace("robot: adroit", "robot: shadow")
    contract.write_text(text.replace("format_version: 1", "format_version: 2\nscene: sim/scene.yaml", 1))
    return contract


def test_a_shipped_version_does_not_pass_for_another_robot(shadow):
    config = RolloutConfig("baoding", model="v0002", models_dir=share_dir() / "models", contract=shadow)
    with pytest.raises(ModelError, match="v0002 is of robot 'adroit', the contract says 'shadow'"):
        resolve(config)
    assert resolve(replace(config, mix="robots")).version == "v0002"
    assert resolve(replace(config, contract=None)).version == "v0002"


def test_the_same_physics_is_the_same_world_whatever_the_robot_is_called(shadow):
    renamed = resolve(RolloutConfig("baoding", dynamics="oracle", contract=shadow))
    assert renamed.world == resolve(RolloutConfig("baoding", dynamics="oracle")).world


def test_two_collections_of_one_second_have_sessions_of_their_own(tmp_path):
    config = RolloutConfig("valve", policy="hold", seconds=0.2)
    first, second = (collect.run(config, episodes=1, episodes_dir=tmp_path, processes=1) for _ in range(2))
    assert first.folder != second.folder
    keys = {read_info(path).key for path in tmp_path.rglob("*.mcap")}
    assert len(keys) == 2


def test_collected_episodes_say_which_world_and_options_they_are_of(tmp_path):
    config = RolloutConfig("valve", policy="random", seconds=0.3, sim_options={"joint_noise": 0.01})
    done = collect.run(config, episodes=1, episodes_dir=tmp_path, processes=1)
    info = read_info(next(done.folder.glob("*.mcap")))
    assert info.world == f"sim:{load_scene(contract_for('valve')).digest[:16]}"
    assert json.loads(info.extra["sim_options"]) == {"joint_noise": 0.01}
