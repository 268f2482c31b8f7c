# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An episode starts where the scene says, and varies where it says so."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.oracle import OracleRollout
from mbrl_controller.simulation.scene import load_scene
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.simulation.start import draw_start, held_controls, start_qpos

from .probe import CUBE, HAND_ENTRIES, JOINTS, of_object, probe_contract

ENTRIES = HAND_ENTRIES + of_object("cube", "position", "orientation")
LOUD = SimOptions(start_pose_noise=0.1, start_object_noise=0.02, start_angle_noise=0.5, start_orientation_noise=1.0)


def draws(contract, options, count=30):
    scene = load_scene(contract)
    start = start_qpos(scene, contract)
    rng = np.random.default_rng(0)
    return scene, start, np.array([draw_start(start, scene, contract, options, rng) for _ in range(count)])


def changed(scene, start, drawn):
    """Joints, by name, that differ from the start in any draw."""
    model, names = scene.model, []
    for joint in range(model.njnt):
        at = int(model.jnt_qposadr[joint])
        end = int(model.jnt_qposadr[joint + 1]) if joint + 1 < model.njnt else model.nq
        if not np.array_equal(drawn[:, at:end], np.tile(start[at:end], (len(drawn), 1))):
            names.append(model.joint(joint).name or model.body(int(model.jnt_bodyid[joint])).name)
    return names


def test_nothing_varies_unless_it_is_named(tmp_path):
    scene, start, drawn = draws(probe_contract(tmp_path, ENTRIES, objects={"cube": CUBE}), LOUD)
    assert changed(scene, start, drawn) == []


@pytest.mark.parametrize(
    ("vary", "moved"),
    [
        ({"joints": {"index": 0.05}}, ["index"]),
        ({"joints": {"*": "option"}}, ["wrist", "index", "thumb_1", "thumb_2", "door", "drawer"]),
        ({"joints": {"d*": 0.01}}, ["door", "drawer"]),
        ({"joints": {"thumb": 0.05}}, ["thumb_1", "thumb_2"]),
        ({"objects": {"cube": {"position": 0.01}}}, ["cube"]),
        ({"objects": {"*": {"position": "option"}}}, ["pen", "cube"]),
    ],
)
def test_what_is_named_varies_and_nothing_else(tmp_path, vary, moved):
    contract = probe_contract(tmp_path, ENTRIES, objects={"cube": CUBE}, start={"vary": vary})
    scene, start, drawn = draws(contract, LOUD)
    assert changed(scene, start, drawn) == moved


def test_draws_stay_in_their_ranges_and_use_them(tmp_path):
    vary = {
        "joints": {"index": 0.05, "wrist": "option", "door": 0.2},
        "objects": {"cube": {"position": [0.01, 0.0, 0.002], "orientation": {"about": [0, 0, 2], "range": 0.7}}},
    }
    contract = probe_contract(tmp_path, ENTRIES, objects={"cube": CUBE}, start={"vary": vary}, neutral={"index": 0.4})
    scene, start, drawn = draws(contract, LOUD, 200)
    offset = drawn - start
    for name, size in (("index", 0.05), ("wrist", 0.1), ("door", 0.2)):
        column = offset[:, scene.model.joint(name).qposadr[0]]
        assert 0.9 * size < np.abs(column).max() <= size
    at = scene.free_qpos["cube"]
    np.testing.assert_array_equal(offset[:, at + 1], 0)
    assert 0.009 < np.abs(offset[:, at]).max() <= 0.01
    assert np.abs(offset[:, at + 2]).max() <= 0.002
    quaternions = drawn[:, at + 3 : at + 7]
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1)
    np.testing.assert_allclose(quaternions[:, 1:3], 0, atol=1e-12)  # about z only
    angles = 2 * np.arctan2(quaternions[:, 3], quaternions[:, 0])
    assert 0.6 < np.abs(angles).max() <= 0.7
    assert angles.min() < 0 < angles.max()


def test_any_orientation_is_any(tmp_path):
    vary = {"objects": {"cube": {"orientation": "any"}}}
    scene, _, drawn = draws(probe_contract(tmp_path, ENTRIES, objects={"cube": CUBE}, start={"vary": vary}), LOUD, 2000)
    at = scene.free_qpos["cube"] + 3
    np.testing.assert_allclose(np.linalg.norm(drawn[:, at : at + 4], axis=1), 1)
    np.testing.assert_allclose((drawn[:, at : at + 4] ** 2).mean(0), 0.25, atol=0.02)


def test_the_number_of_draws_does_not_depend_on_ranges(tmp_path):
    vary = {"joints": {"*": "option"}, "objects": {"*": {"position": "option", "orientation": "option"}}}
    contract = probe_contract(tmp_path, ENTRIES, objects={"cube": CUBE}, start={"vary": vary})
    scene = load_scene(contract)
    start, after = start_qpos(scene, contract), []
    for options in (LOUD, SimOptions(start_pose_noise=0, start_object_noise=0, start_angle_noise=0)):
        rng = np.random.default_rng(1)
        draw_start(start, scene, contract, options, rng)
        after.append(rng.random())
    assert after[0] == after[1]


def test_a_key_pose_is_taken_by_name_whatever_was_added_or_removed(tmp_path):
    contract = probe_contract(
        tmp_path, ENTRIES, objects={"cube": CUBE}, edit={"remove_bodies": ["drawer"]},
        start={"key": "hold", "joints": {"wrist": 0.2}, "settle": 0.0}, neutral={"index": 0.9, "wrist": -0.1},
    )  # fmt: skip
    hand = HandSimulation(contract)
    where = {name: hand.joint(name)[0] for name in ("wrist", "index", "thumb_1", "thumb_2", "door")}
    assert where == pytest.approx({"wrist": 0.2, "index": 0.5, "thumb_1": 0.2, "thumb_2": 0.1, "door": 0.3})
    np.testing.assert_allclose(hand.object("cube").position, CUBE["position"])
    controls = held_controls(hand.scene, start_qpos(hand.scene, contract))
    np.testing.assert_allclose(controls, [0.2, 1.0, 0.25, 0.04])  # gear 2, the tendon's length, the motor's own


def test_without_a_key_pose_the_hand_starts_in_the_neutral_pose(tmp_path):
    neutral = {"wrist": 0.1, "index": 0.3, "thumb": 0.5}
    contract = probe_contract(tmp_path, neutral=neutral, start={"joints": {"index": 0.4}})
    scene = load_scene(contract)
    positions = scene.hand.positions(start_qpos(scene, contract))
    np.testing.assert_allclose(positions, [0.1, 0.4, 0.5])
    assert list(JOINTS) == list(contract.action.names)


def test_free_bodies_of_the_file_are_placed(tmp_path):
    placed = {"pen": {"position": [0.1, 0.2, 0.3], "orientation": [0.0, 0.0, 1.0, 0.0]}}
    contract = probe_contract(
        tmp_path, HAND_ENTRIES + of_object("pen", "position"), start={"objects": placed, "settle": 0}
    )
    hand = HandSimulation(contract, SimOptions())
    np.testing.assert_allclose(hand.object("pen").position, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(hand.object("pen").orientation, [0, 0, 0, 1])


def test_an_actuator_with_a_filter_starts_settled(tmp_path):
    from .probe import HAND

    text = HAND.replace('joint="wrist" kp="4"', 'joint="wrist" kp="4" timeconst=".5"')
    hand = HandSimulation(probe_contract(tmp_path, text=text, neutral={"wrist": 0.7}, start={"settle": 0.3}))
    assert hand.joint("wrist")[0] == pytest.approx(0.7, abs=0.01)
    targets = np.array([[[0.2, 0.3, 0.4], [0.1, 0.0, 0.2]]])
    with OracleRollout(hand) as oracle:  # the filter's state is part of what is foreseen
        np.testing.assert_allclose(oracle.rollout(None, targets)[0, 0], [hand.step(t) for t in targets[0]], atol=1e-9)
