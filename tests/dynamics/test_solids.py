# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Contact features of objects that turn, against MuJoCo's distances between all pairs of shapes."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from mbrl_controller.dynamics.contacts import REACH, TorchContacts
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.solids import ROUNDING
from mbrl_controller.models.hand_geometry import Frame, HandGeometry, Hinge, Shape
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.simulation.extract_shapes import geom_pose, object_solids, rounded_box, shape_centre
from mbrl_controller.tasks.orientation import axes_to_matrix, cube_group, matrix_to_axes, quaternion_to_axes
from mbrl_controller.tasks.spaces import AXES, VectorSpec

STATE = VectorSpec(
    ("A.position", *(f"thing.position.{axis}" for axis in "xyz"), *(f"thing.orientation.{axis}" for axis in AXES)),
    ("rad", "m", "m", "m", *("",) * 6),
)
# A wedge: its hull has slopes, and edges that are not at right angles.
MESH = "0 0 0  .06 0 0  .06 .04 0  0 .04 0  0 0 .03  0 .04 .03"
HAND = {
    "sphere": 'type="sphere" size=".008"',
    "capsule": 'type="capsule" size=".008 .02"',
    "box": 'type="box" size=".02 .015 .01"',
    "cylinder": 'type="cylinder" size=".012 .02"',
    "ellipsoid": 'type="ellipsoid" size=".02 .012 .01"',
    "mesh": 'type="mesh" mesh="wedge"',
}
OBJECT = {
    "sphere": 'type="sphere" size=".03" pos=".01 0 0"',
    "capsule": 'type="capsule" size=".01 .05"',
    "box": 'type="box" size=".035 .035 .035"',
    "cylinder": 'type="cylinder" size=".03 .04"',
    "ellipsoid": 'type="ellipsoid" size=".04 .03 .02"',
    "mesh": 'type="mesh" mesh="wedge"',
}
# Errors (m) of distances below 2 cm, as a hand's shape has them at any object, plus an object's own: of nine in ten,
# and the largest. A point is exact; lines and boxes are projected on and off three times, which ends early where they
# are nearly parallel to a face or edge; boxes of the hand are rounded; the others' extents and volume are right.
ROUNDED = (np.sqrt(3) - 1) * ROUNDING
HAND_ERROR = {
    "sphere": (1e-5, 1e-5),
    "capsule": (1e-4, 3.5e-3),
    "box": (ROUNDED + 3e-4, ROUNDED + 4e-3),
    "cylinder": (3.4e-3, 4e-3),
    "ellipsoid": (2.4e-3, 2.5e-3),
    "mesh": (1.1e-2, 1.5e-2),
}
OBJECT_ERROR = {"ellipsoid": (1e-4, 1e-4), "mesh": (1.1e-3, 2.5e-3)}


def world(hand: str, thing: str) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(f"""
      <mujoco><compiler angle="radian"/><asset><mesh name="wedge" vertex="{MESH}"/></asset><worldbody>
        <body pos=".01 .02 .03" euler=".3 .2 .1"><joint name="A" axis="0 0 1"/><geom name="hand" {HAND[hand]}/></body>
        <body name="thing"><freejoint/><geom name="thing" {OBJECT[thing]}/></body>
      </worldbody></mujoco>""")


def geometry_of(model: mujoco.MjModel) -> HandGeometry:
    hand = model.geom("hand").id
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.body_quat[1])
    hinge = Hinge(joint="A", parent=-1, frame=Frame.of(matrix, model.body_pos[1]))
    rotation, position = geom_pose(model, hand)
    half, radius = rounded_box(model, hand)
    frame = Frame.of(rotation, position + rotation @ shape_centre(model, hand))
    shape = Shape(hinge=0, frame=frame, half=half, radius=radius)
    solids = object_solids(model, model.body("thing").id, "thing")
    return HandGeometry(hinges=(hinge,), shapes=(shape,), solids=tuple(solids))


def near_states(model: mujoco.MjModel, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """States [N, S] with the two up to 2 cm apart, and MuJoCo's segment [N, 6] between them."""
    data, states, segments = mujoco.MjData(model), [], []
    while len(states) < count:
        data.qpos[:] = [rng.uniform(-3, 3), *(model.body_pos[1] + rng.uniform(-0.09, 0.09, 3)), *rng.normal(size=4)]
        mujoco.mj_kinematics(model, data)
        segment = np.zeros(6)
        distance = mujoco.mj_geomDistance(model, data, model.geom("hand").id, model.geom("thing").id, 0.02, segment)
        if 1e-3 < distance < 0.02:
            quaternion = data.qpos[4:] / np.linalg.norm(data.qpos[4:])
            states.append([*data.qpos[:4], *quaternion_to_axes(quaternion[[1, 2, 3, 0]])])
            segments.append(segment)
    return np.array(states), np.array(segments)


def features(geometry: HandGeometry, states: np.ndarray) -> np.ndarray:
    """[N, 7]: influence, push, turn."""
    return TorchContacts(geometry, STATE)(torch.tensor(states, dtype=torch.float32)).numpy().astype(float)


@pytest.mark.parametrize("thing", OBJECT)
@pytest.mark.parametrize("hand", HAND)
def test_mujoco_measures_the_same_distances(hand: str, thing: str) -> None:
    model = world(hand, thing)
    states, segments = near_states(model, 40, np.random.default_rng(0))
    lines = segments[:, 3:] - segments[:, :3]
    distance = np.linalg.norm(lines, axis=1)
    found = features(geometry_of(model), states)
    error = np.abs(-REACH * np.log(found[:, 0]) - distance)
    most, largest = np.array(HAND_ERROR[hand]) + OBJECT_ERROR.get(thing, (0.0, 0.0))
    assert np.quantile(error, 0.9) < most
    assert error.max() < largest
    along = (found[:, 1:4] * lines).sum(1) / (found[:, 0] * distance)
    assert np.median(along) > np.cos(np.radians(20 if hand == "mesh" else 6))
    if hand == "sphere" and thing != "mesh":
        push = lines / distance[:, None]
        assert np.allclose(found[:, 1:4], found[:, :1] * push, atol=1e-3)
        lever = np.cross(segments[:, 3:] - states[:, 1:4], push)
        scale = (found[:, 4:] * lever).sum() / (lever * found[:, :1] * lever).sum()
        assert np.allclose(found[:, 4:], scale * found[:, :1] * lever, atol=1e-3)


def test_push_and_turn_do_not_depend_on_which_axes_a_cube_is_given() -> None:
    model = world("capsule", "box")
    geometry = geometry_of(model)
    states, _ = near_states(model, 5, np.random.default_rng(1))
    before = features(geometry, states)
    for relabelled in cube_group():
        renamed = axes_to_matrix(states[:, 4:]) @ axes_to_matrix(relabelled)
        again = features(geometry, np.concatenate([states[:, :4], matrix_to_axes(renamed)], axis=1))
        assert np.allclose(again, before, atol=2e-4)


@pytest.mark.parametrize("thing", OBJECT)
def test_values_and_slopes_are_finite_wherever_the_object_is_predicted(thing: str) -> None:
    contacts = TorchContacts(geometry_of(world("box", thing)), STATE)
    rng = np.random.default_rng(0)
    states = np.concatenate([rng.normal(size=(20, 10)), rng.normal(size=(20, 10)) * 0.03, np.zeros((1, 10))])
    states[20:40, 4:] = [quaternion_to_axes(q) for q in rng.normal(size=(20, 4))]
    states[0] = [0, 0.01, 0.02, 0.03, 1, 0, 0, 0, 1, 0]  # one in the other
    x = torch.tensor(states, dtype=torch.float32, requires_grad=True)
    y = contacts(x)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("thing", ["cylinder", "ellipsoid", "mesh"])
def test_the_file_computes_what_the_network_does(thing: str, tmp_path: Path) -> None:
    model = world("box", thing)
    spec = ModelSpec(
        task="turn", robot="finger", state_names=STATE.names, state_units=STATE.units, action_names=("A",),
        action_units=("rad",), action_lower=(-1.0,), action_upper=(1.0,), action_max_rate=(3.0,), control_period_s=0.1,
        ensemble_size=2, hidden=(8,), geometry=geometry_of(model),
    )  # fmt: skip
    network = DynamicsEnsemble(spec, seed=1)
    states, _ = near_states(model, 20, np.random.default_rng(2))
    action = np.zeros((20, 1))
    written = export_onnx(network, spec, tmp_path / "m.onnx", samples=(states, action))
    served = OnnxEnsemble.load(tmp_path / "m.onnx")
    assert served.spec.geometry == written.geometry == spec.geometry
    expected = network.predictor()(np.repeat(states[None], 2, axis=0), action)
    assert np.allclose(served.predict(states, action), expected, atol=2e-5)
