# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which hands and scenes have a geometry, and what is in it."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.hand_geometry import HandGeometry
from mbrl_controller.simulation.extract_geometry import extract_geometry


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
