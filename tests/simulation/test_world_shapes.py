# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Simple shapes of a state are where MuJoCo has what they stand for."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.simulation.hand_picture import find_picture
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.world_shapes import WorldShapes


def shapes_of(name: str) -> tuple[HandSimulation, WorldShapes]:
    contract = load_contract(share_dir() / "config" / f"{name}.yaml")
    picture = find_picture(contract)
    assert picture is not None
    return HandSimulation(contract), WorldShapes(picture)


def test_balls_are_balls_where_the_state_has_them() -> None:
    simulation, shapes = shapes_of("adroit_baoding")
    found = shapes.objects(simulation.state())
    assert [solid.kind for solid in found] == ["ellipsoid", "ellipsoid"]
    for solid, name in zip(found, ("ball_a", "ball_b"), strict=True):
        np.testing.assert_allclose(solid.position, simulation.object(name).position, atol=1e-9)
        body = simulation.scene.objects[name]
        radius = simulation.model.geom_size[simulation.model.body_geomadr[body], 0]
        np.testing.assert_allclose(solid.extents, 2 * radius)


def test_a_valve_turns_with_its_joint_and_the_hand_is_not_part_of_it() -> None:
    simulation, shapes = shapes_of("claw_valve")
    state = simulation.state()
    turned = state.copy()
    turned[simulation.contract.task.state.index("valve.position")] += np.pi / 2
    before, after = shapes.objects(state), shapes.objects(turned)
    assert len(before) == len(after) > 0
    assert max(np.linalg.norm(a.position - b.position) for a, b in zip(before, after, strict=True)) > 0.01
    np.testing.assert_array_equal(shapes.bones(state), shapes.bones(turned))


def test_a_fingertips_path_begins_where_it_is_and_ends_where_the_plan_takes_it() -> None:
    simulation, shapes = shapes_of("claw_valve")
    contract, state = simulation.contract, simulation.state()
    targets = np.stack([contract.action.neutral, contract.action.upper])
    paths = shapes.fingertip_paths(state, targets)
    assert paths.shape == (3, 3, 3)  # fingers, the start and two steps, x y z
    at_goal = state.copy()
    at_goal[contract.task.joint_positions] = contract.action.upper
    np.testing.assert_allclose(paths[:, 0], shapes.fingertip_paths(state, targets[:0])[:, 0])
    np.testing.assert_allclose(paths[:, -1], shapes.fingertip_paths(at_goal, targets[:0])[:, 0], atol=1e-9)


def test_unknown_entries_leave_everything_in_place_to_be_seen() -> None:
    simulation, shapes = shapes_of("adroit_baoding")
    found = shapes.objects(np.full(len(simulation.contract.task.state), np.nan))
    assert all(np.isfinite(solid.position).all() for solid in found)
