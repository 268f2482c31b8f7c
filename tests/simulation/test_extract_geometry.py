# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which hands and scenes have a geometry, and what is in it."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.contacts import REACH, TorchContacts
from mbrl_controller.models.hand_geometry import HandGeometry
from mbrl_controller.simulation.extract_geometry import extract_geometry
from mbrl_controller.simulation.extract_shapes import collides, is_plane
from mbrl_controller.simulation.scene import load_scene


@pytest.fixture(scope="module")
def baoding() -> RobotContract:
    return contract_for("baoding")


def test_every_actuated_joint_is_a_hinge_after_its_parent(baoding: RobotContract) -> None:
    geometry = extract_geometry(baoding)
    assert sorted(hinge.joint for hinge in geometry.hinges) == sorted(baoding.action.names)
    assert set(geometry.state_names) <= set(baoding.task.state.names)
    assert [ball.radius for ball in geometry.balls] == [0.028, 0.028]


def test_frames_are_rotations(baoding: RobotContract) -> None:
    geometry = extract_geometry(baoding)
    for part in (*geometry.hinges, *geometry.shapes):
        assert np.allclose(part.frame.matrix @ part.frame.matrix.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(part.frame.matrix) == pytest.approx(1.0)


def test_it_survives_being_written(baoding: RobotContract) -> None:
    geometry = extract_geometry(baoding)
    assert HandGeometry.model_validate_json(geometry.model_dump_json()) == geometry


def test_a_scene_without_free_objects_is_refused() -> None:
    with pytest.raises(ContractError, match="no free objects"):
        extract_geometry(contract_for("valve"))


@pytest.mark.parametrize(("task", "name"), [("cube", "cube"), ("handwriting", "pencil")])
def test_the_nearest_surface_is_as_far_from_an_object_that_turns_as_mujoco_says(task: str, name: str) -> None:
    contract = contract_for(task)
    geometry, scene = extract_geometry(contract), load_scene(contract)
    assert {solid.name for solid in geometry.solids} == {name}
    assert set(geometry.state_names) <= set(contract.task.state.names)
    model, data = scene.model, mujoco.MjData(scene.model)
    states, distances = [], []
    rng = np.random.default_rng(0)
    place, body = scene.free_qpos[name], scene.objects[name]
    thing = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body and collides(model, g)]
    hand = [g for g in range(model.ngeom) if g not in thing and collides(model, g) and not is_plane(model, g)]
    while len(states) < 15:
        data.qpos[:] = model.qpos0
        scene.hand.place(data.qpos, rng.uniform(contract.action.lower, contract.action.upper))
        mujoco.mj_kinematics(model, data)
        centre = data.geom_xpos[rng.choice(hand)]
        data.qpos[place : place + 3] = centre + rng.normal(size=3) * 0.04
        data.qpos[place + 3 : place + 7] = rng.normal(size=4)
        mujoco.mj_kinematics(model, data)
        nearest = min(mujoco.mj_geomDistance(model, data, h, t, 0.05, None) for h in hand for t in thing)
        if 1e-3 < nearest < 0.02:
            data.qpos[place + 3 : place + 7] /= np.linalg.norm(data.qpos[place + 3 : place + 7])
            states.append(scene.reader.read(data.qpos, data.qvel, data.sensordata))
            distances.append(nearest)
    features = TorchContacts(geometry, contract.task.state)(torch.tensor(np.array(states), dtype=torch.float32))
    influence = features[:, : len(geometry.shapes)].max(1).values.numpy()
    error = np.abs(-REACH * np.log(influence) - distances)
    assert np.median(error) < 5e-4
    assert np.quantile(error, 0.8) < 2e-3  # boxes of the hand are rounded by 2 mm
    assert error.max() < 1e-2  # a capsule that is nearly parallel to a face
