# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import socket

import mujoco
import numpy as np
import pytest

from mbrl_controller.base.errors import ContractError
from mbrl_controller.simulation import hand_picture
from mbrl_controller.simulation.hand_picture import find_picture

HAND = """<mujoco><worldbody><body name="finger"><joint name="{joint}" range="-1 1"/>
<geom size="0.01" pos="0 0 0.05"/></body></worldbody></mujoco>"""


@pytest.fixture
def server():
    pytest.importorskip("mjviser")
    from mbrl_controller.simulation.viewer import serve

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = serve("127.0.0.1", port)
    yield made
    made.stop()


@pytest.fixture
def make_scene(server):
    from mbrl_controller.simulation.hand_scene import HandScene

    return lambda *args, **kwargs: HandScene(server, *args, **kwargs)


def test_a_state_becomes_the_pose_it_was_read_from(hand):
    picture = find_picture(hand.contract)
    data = mujoco.MjData(picture.model)
    rng = np.random.default_rng(0)
    hand.step(hand.contract.action.neutral + 0.05 * rng.standard_normal(len(hand.contract.action)))
    state = hand.state()
    data.qpos[:] = picture.pose.qpos(state)
    again = hand.scene.reader.read(data.qpos, hand.data.qvel, hand.data.sensordata)
    placed = [i for i, name in enumerate(hand.contract.task.state.names) if "position" in name or "orientation" in name]
    np.testing.assert_allclose(again[placed], state[placed], atol=1e-9)


def test_what_a_state_does_not_tell_stays_at_the_start(baoding):
    picture = find_picture(baoding.contract)
    home = picture.pose.qpos(np.full(len(baoding.contract.task.state), np.nan))
    assert np.isfinite(home).all()
    state = baoding.state()
    state[baoding.contract.task.state.index("ball_a.position.x")] = np.nan
    at = baoding.scene.free_qpos["ball_a"]
    np.testing.assert_array_equal(picture.pose.qpos(state)[at : at + 3], home[at : at + 3])


def test_the_ghost_is_the_hand_alone_and_the_limits_are_the_joints(baoding, make_scene):
    scene = make_scene(baoding.contract)
    action = baoding.contract.action
    scene.show_state(baoding.state())
    scene.show_plan(np.tile(action.neutral, (3, 1)))
    balls = set(baoding.scene.objects.values())
    assert scene._ghost.shown
    assert not scene._ghost.shown & balls
    scene.show_limits([action.names[3]])
    assert scene._limits.shown == {scene.picture.joint_bodies[3]}
    scene.show_limits()
    scene.show_plan(None)
    assert scene._limits.shown == scene._ghost.shown == set()


def test_each_object_has_a_path_for_each_member(baoding, make_scene):
    scene = make_scene(baoding.contract)
    names = baoding.contract.task.state
    at = names.indices([f"ball_a.position.{axis}" for axis in "xyz"])
    states = np.tile(baoding.state(), (3, 5, 1))
    states[:, :, at] += 0.01 * np.arange(3)[:, None, None]
    points = scene._paths.points(states)
    assert points.shape == (2, 3, 5, 3)
    np.testing.assert_allclose(points[0, 2] - points[0, 0], 0.02, atol=1e-9)
    scene.show_plan(None, states)
    assert [handle.points.shape for handle in scene._paths._handles.values()] == [(12, 2, 3)] * 2
    states[1, 2] = np.nan
    scene.show_plan(None, states)
    assert np.isfinite(scene._paths._handles[0].points).all()
    scene.show_plan(None, None)
    assert not scene._paths._handles


def test_the_path_of_a_valve_is_that_of_its_rim(valve, make_scene):
    scene = make_scene(valve.contract)
    states = np.tile(valve.state(), (2, 3, 1))
    turned = valve.contract.task.state.names.index("valve.position")
    states[1, :, turned] += 0.5
    points = scene._paths.points(states)
    assert points.shape == (1, 2, 3, 3)
    assert np.linalg.norm(points[0, 1] - points[0, 0], axis=-1).min() > 0.005


def test_without_a_world_the_robots_other_worlds_lend_the_hand(contract_of, make_scene):
    contract = contract_of("baoding")
    foreign = dataclasses.replace(contract, file=contract.file.model_copy(update={"robot": "unknown"}))
    assert find_picture(foreign) is None
    other = contract_of("cube")
    own = dict(hand_picture.available())
    del own[contract.file.robot, contract.task.name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hand_picture, "available", lambda: own)
        patch.setattr(hand_picture, "has_world", lambda contract: False)
        picture = find_picture(contract)
    assert picture is not None
    assert len(picture.hand_bodies) == len(find_picture(other).hand_bodies)
    assert not picture.pose.objects  # the balls are drawn as spheres


def test_without_any_model_the_objects_are_spheres(contract_of, make_scene):
    contract = contract_of("baoding")
    foreign = dataclasses.replace(contract, file=contract.file.model_copy(update={"robot": "unknown"}))
    scene = make_scene(foreign)
    state = np.zeros(len(contract.task.state))
    state[contract.task.state.index("ball_b.position.z")] = 0.3
    scene.show_state(state)
    scene.show_plan(np.tile(contract.action.neutral, (3, 1)), np.tile(state, (2, 3, 1)))
    scene.show_limits(contract.action.names)
    assert [tuple(handle.position) for handle in scene._objects.handles] == [(0, 0, 0), (0, 0, 0.3)]


def test_a_goal_that_cannot_be_drawn_shows_none(baoding, make_scene):
    scene = make_scene(baoding.contract)
    goal = baoding.contract.task.sample_goal(np.random.default_rng(0)).at(np.array(0.0))
    scene.show_goal(goal)
    assert scene._goal.handles
    scene.show_goal(np.zeros(99))
    assert not scene._goal.handles


def test_a_model_file_may_show_some_of_the_joints(contract_of, tmp_path):
    contract = contract_of("baoding")
    file = tmp_path / "hand.xml"
    file.write_text(HAND.format(joint=contract.action.names[5]))
    picture = find_picture(contract, file)
    assert picture.joint_bodies[5] == 1
    assert picture.joint_bodies.count(None) == len(contract.action) - 1
    file.write_text(HAND.format(joint="another"))
    with pytest.raises(ContractError, match="none of the contract's joints"):
        find_picture(contract, file)
    file.write_text("no XML")
    with pytest.raises(ContractError, match=r"hand\.xml"):
        find_picture(contract, file)
