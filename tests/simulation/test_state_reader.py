# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An object's state does not depend on how MuJoCo writes it, and moves as its velocities say, in any frame."""

from __future__ import annotations

import warnings

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.oracle import OracleRollout
from mbrl_controller.simulation.scene import load_scene
from mbrl_controller.tasks.orientation import angle_between, angular_velocity, axes_to_matrix, rotation_vector

from .probe import CUBE, HAND_ENTRIES, of_object, probe_contract

ALL = ("position", "velocity", "orientation", "angular_velocity")
ENTRIES = of_object("cube", *ALL) + HAND_ENTRIES
POSITION, VELOCITY, AXES, SPIN = slice(0, 3), slice(3, 6), slice(6, 12), slice(12, 15)
FRAMES = ("world", "palm", "palm_centre", "table_frame")
# A second way to say which frame: a body that nothing moves.
EXTRA = '<body name="table_frame" pos=".1 .2 0" quat=".5 .5 .5 .5"/><body name="door"'


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    from .probe import HAND

    text = HAND.replace('<body name="door"', EXTRA)
    found = {}
    for frame in FRAMES:
        folder = tmp_path_factory.mktemp(frame)
        found[frame] = load_scene(probe_contract(folder, ENTRIES, text=text, objects={"cube": CUBE}, frame=frame))
    return found


def moving(scene, seed):
    """qpos and qvel of a hand and a cube somewhere, in some motion."""
    rng = np.random.default_rng(seed)
    qpos, qvel = scene.model.qpos0 + rng.uniform(-0.5, 0.5, scene.model.nq), rng.uniform(-2, 2, scene.model.nv)
    mujoco.mj_normalizeQuat(scene.model, qpos)
    return qpos, qvel


def read(scene, qpos, qvel):
    return scene.reader.read(qpos, qvel, np.zeros(scene.model.nsensordata))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("frame", FRAMES)
def test_a_quaternion_and_its_negative_are_one_state(scenes, frame, seed):
    scene = scenes[frame]
    qpos, qvel = moving(scene, seed)
    state = read(scene, qpos, qvel)
    at = scene.free_qpos["cube"] + 3
    qpos[at : at + 4] *= -1
    np.testing.assert_allclose(read(scene, qpos, qvel), state, atol=1e-12)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("frame", FRAMES)
def test_velocities_are_what_positions_and_axes_change_by(scenes, frame, seed):
    scene, step = scenes[frame], 1e-5
    qpos, qvel = moving(scene, seed)
    ends = []
    for sign in (-0.5, 0.5):
        moved = qpos.copy()
        mujoco.mj_integratePos(scene.model, moved, qvel, sign * step)
        ends.append(read(scene, moved, qvel))
    state = read(scene, qpos, qvel)
    np.testing.assert_allclose((ends[1] - ends[0])[POSITION] / step, state[VELOCITY], atol=1e-5)
    np.testing.assert_allclose(angular_velocity(ends[0][AXES], ends[1][AXES], step), state[SPIN], atol=1e-4)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_seen_does_not_depend_on_the_frame(scenes, seed):
    """Distances and angles between two moments are the same in frames that do not move."""
    one, other = moving(scenes["world"], seed), moving(scenes["world"], seed + 1)
    seen = []
    for frame in ("world", "table_frame"):
        a, b = read(scenes[frame], *one), read(scenes[frame], *other)
        seen.append([np.linalg.norm(a[POSITION] - b[POSITION]), angle_between(a[AXES], b[AXES]),
                     np.linalg.norm(a[VELOCITY]), np.linalg.norm(a[SPIN]),
                     np.linalg.norm(rotation_vector(a[AXES], b[AXES]))])  # fmt: skip
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-9)
    assert not np.allclose(read(scenes["world"], *one)[POSITION], read(scenes["table_frame"], *one)[POSITION])


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_frame_on_the_hand_moves_with_it(scenes, seed):
    scene = scenes["palm_centre"]
    qpos, qvel = moving(scene, seed)
    data = mujoco.MjData(scene.model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(scene.model, data)
    site, state = data.site("palm_centre"), read(scene, qpos, qvel)
    rotation = site.xmat.reshape(3, 3)
    np.testing.assert_allclose(site.xpos + rotation @ state[POSITION], data.body("cube").xpos, atol=1e-9)
    np.testing.assert_allclose(rotation @ axes_to_matrix(state[AXES]), data.body("cube").xmat.reshape(3, 3), atol=1e-9)


@pytest.mark.parametrize("frame", FRAMES)
def test_many_states_at_once_are_the_same_as_each(scenes, frame):
    scene = scenes[frame]
    rows = [moving(scene, seed) for seed in range(6)]
    qpos, qvel = (np.array([row[i] for row in rows]).reshape(2, 3, -1) for i in range(2))
    states = scene.reader.read(qpos, qvel, np.zeros((2, 3, scene.model.nsensordata)))
    for at, (q, v) in zip(np.ndindex(2, 3), rows, strict=True):
        np.testing.assert_allclose(states[at], read(scene, q, v), atol=1e-12)


@pytest.mark.parametrize("frame", ["world", "palm"])
def test_the_oracle_foresees_a_turning_object(tmp_path, frame):
    hand = HandSimulation(probe_contract(tmp_path, ENTRIES, objects={"cube": CUBE}, frame=frame))
    targets = np.array([[[0.4, 0.9, 0.3], [-0.3, 0.5, 0.5]]])
    with OracleRollout(hand) as oracle:
        states = oracle.rollout(None, targets)
        lived = [hand.step(target) for target in targets[0]]
    np.testing.assert_allclose(states[0, 0], lived, atol=1e-9)
    assert angle_between(lived[0][AXES], lived[1][AXES]) > 1e-3


def test_entries_come_in_the_tasks_order(tmp_path, scenes):
    backwards = [*HAND_ENTRIES[::-1], *of_object("cube", "angular_velocity", "orientation", "velocity", "position")]
    scene = load_scene(probe_contract(tmp_path, backwards, objects={"cube": CUBE}))
    qpos, qvel = moving(scene, 3)
    there = dict(zip(backwards, read(scene, qpos, qvel), strict=True))
    here = dict(zip(ENTRIES, read(load_scene(_again(tmp_path)), qpos, qvel), strict=True))
    assert there == pytest.approx(here)


def _again(folder):
    (folder / "again").mkdir()
    return probe_contract(folder / "again", ENTRIES, objects={"cube": CUBE})


@pytest.mark.parametrize(("frame", "expected"), [("world", True), ("palm", False)])
def test_a_frame_of_the_contract_that_the_scene_does_not_mean_is_said(tmp_path, frame, expected):
    contract = probe_contract(tmp_path, ENTRIES, objects={"cube": CUBE}, frame=frame)
    named = parse_contract(contract.text.replace("object: cube", "object: cube\n  frame: palm"), folder=tmp_path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        load_scene(named)
    assert any("frame: palm" in str(warning.message) for warning in said) == expected
