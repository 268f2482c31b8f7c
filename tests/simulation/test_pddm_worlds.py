# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The cube's and the pencil's worlds: what the start pose holds, and what the simulator as its own model can do."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.tasks.orientation import angle_between


@pytest.mark.parametrize("task", ["cube", "handwriting"])
def test_the_start_pose_holds_the_object_for_an_episode(task, contract_of):
    hand = HandSimulation(contract_of(task))
    states = [hand.reset(5)]
    for _ in range(round(hand.contract.task.episode_s / hand.contract.action.period)):
        states.append(hand.step(hand.contract.action.neutral))
    assert not hand.contract.task.at_risk(np.array(states)).any()


def test_the_pencil_rests_with_its_tip_on_the_paper_where_paths_begin(contract_of):
    hand = HandSimulation(contract_of("handwriting"))
    task = hand.contract.task
    tips = np.array([task.tip(hand.reset(seed)) for seed in range(4)])
    assert np.abs(tips[:, 2]).max() < 2e-3
    assert np.linalg.norm(tips[:, :2] - np.array(task.center), axis=-1).max() < 4e-3


def test_fingers_turn_the_cube(contract_of):
    """Pushing up under one side turns it by tens of degrees, and the state says so about the right axis."""
    hand = HandSimulation(contract_of("cube"))
    cube, action = hand.contract.task.cube, hand.contract.action
    start = hand.reset(0)
    fingers = [i for i, name in enumerate(action.names) if name[:2] in ("FF", "MF", "RF", "LF") and name[3] in "21"]
    push = action.neutral.copy()
    push[fingers] = action.upper[fingers]
    for _ in range(10):
        state = hand.step(push)
    assert np.degrees(angle_between(cube.axes(state), cube.axes(start))) > 10


def test_angular_velocity_is_the_axes_own_change(contract_of):
    hand = HandSimulation(contract_of("cube"))
    cube = hand.contract.task.cube
    hand.reset(0)
    hand.command(hand.contract.action.upper)
    hand.advance(0.2)
    before, after = hand.state(), None
    hand.advance(hand.model.opt.timestep)
    after = hand.state()
    spin = after[cube.part("angular_velocity")]
    axes = cube.axes(before).reshape(2, 3)
    change = (cube.axes(after).reshape(2, 3) - axes) / hand.model.opt.timestep
    assert np.linalg.norm(spin) > 0.1
    np.testing.assert_allclose(change, np.cross(spin, axes), atol=0.02 * np.linalg.norm(spin) + 1e-6)
