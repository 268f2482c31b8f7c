# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Contact features against MuJoCo's own distances, and the same numbers in torch, in the ONNX graph and in 8 bit."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.base.errors import ModelError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.contacts import DEEPEST, REACH, TorchContacts
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import INT8_RMS_TOLERANCE, export_onnx
from mbrl_controller.dynamics.import_onnx import network_of
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.trainer import EnsembleTrainer
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.hand_geometry import Ball, Frame, HandGeometry, Hinge, Shape
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.simulation.extract_geometry import extract_geometry
from mbrl_controller.simulation.scene import load_scene
from mbrl_controller.tasks.spaces import VectorSpec

AXES = ("x", "y", "z")
HERE = Frame.of(np.eye(3), np.zeros(3))
STATE = VectorSpec(("A.position", "B.position", *(f"ball.position.{axis}" for axis in AXES)), ("rad",) * 2 + ("m",) * 3)


def finger(half=(0.0, 0.0, 0.02), radius=0.005) -> HandGeometry:
    """A turns about the world's z; B, 5 cm along x, about x. A surface on each: the ball's radius is 1 cm."""
    sideways = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # z along the parent's x
    hinges = (
        Hinge(joint="A", parent=-1, frame=HERE),
        Hinge(joint="B", parent=0, frame=Frame.of(sideways, [0.05, 0.0, 0.0])),
    )
    shapes = tuple(Shape(hinge=i, frame=HERE, half=half, radius=radius) for i in (0, 1))
    return HandGeometry(hinges=hinges, shapes=shapes, balls=(Ball(name="ball", radius=0.01),))


def features(geometry: HandGeometry, state: VectorSpec, values: np.ndarray) -> np.ndarray:
    """[N, balls, 4, shapes]: influence, then the three components."""
    flat = TorchContacts(geometry, state)(torch.tensor(values, dtype=torch.float32)).numpy()
    return flat.reshape(len(values), len(geometry.balls), 4, len(geometry.shapes))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_mujoco_measures_the_same_distances_and_directions(seed: int) -> None:
    contract = contract_for("baoding")
    scene = load_scene(contract)
    model, data, rng = scene.model, mujoco.MjData(scene.model), np.random.default_rng(seed)
    joints, action = len(contract.action), contract.action
    state = np.zeros(len(contract.task.state))
    state[:joints] = rng.uniform(action.lower, action.upper)
    for ball in (joints, joints + 6):
        state[ball : ball + 3] = rng.uniform([-0.08, -0.08, 0.15], [0.08, 0.12, 0.3])
    full = np.concatenate([model.qpos0, np.zeros(model.nv)])
    full[scene.state_index] = state
    data.qpos[:] = full[: model.nq]
    mujoco.mj_kinematics(model, data)
    geometry = extract_geometry(contract)
    found = features(geometry, contract.task.state, state[None])[0]
    for ball, values in zip(("ball_a", "ball_b"), found, strict=True):
        expected = [row for g in range(model.ngeom) if (row := measured(model, data, g, ball)) is not None]
        influence = np.array([row[0] for row in expected])
        assert np.allclose(np.sort(values[0]), np.sort(influence), atol=1e-5)
        order, mine = np.argsort(influence), np.argsort(values[0])
        # Equal ones may be sorted either way: those far off, and those deep inside.
        near = (influence[order] > 1e-3) & (influence[order] < 0.99)
        directions = np.array([row[1] for row in expected])[order] * influence[order, None]
        assert np.allclose(values[1:, mine].T[near], directions[near], atol=1e-4)


def measured(model: mujoco.MjModel, data: mujoco.MjData, geom: int, ball: str) -> tuple[float, np.ndarray] | None:
    """MuJoCo's influence and direction from a surface of the hand to a ball; None for what is no moved surface."""
    body = model.body(int(model.geom_bodyid[geom])).name
    surface = model.geom_contype[geom] or model.geom_conaffinity[geom]
    if not surface or body in ("world", "forearm", "ball_a", "ball_b") or model.geom_size[geom].max() < 2e-3:
        return None
    line = np.zeros(6)
    gap = mujoco.mj_geomDistance(model, data, geom, model.geom(ball).id, 1.0, line)
    return float(np.exp(-max(gap, DEEPEST) / REACH)), (line[3:] - line[:3]) / np.linalg.norm(line[3:] - line[:3])


def test_a_joint_moves_the_surfaces_behind_it() -> None:
    ball = [0.05, 0.0, 0.02]  # 5 mm above B's line; A's is 5 cm away
    states = np.array([[0.0, 0.0, *ball], [0.0, 1.3, *ball], [np.pi / 2, 0.0, *ball]])
    there, turned, away = features(finger(), STATE, states)[:, 0]
    gap = 0.02 - 0.005 - 0.01
    assert there[0, 1] == pytest.approx(np.exp(-gap / REACH), rel=1e-4)
    assert there[1:, 1] == pytest.approx([0, 0, there[0, 1]], abs=1e-5)  # straight up
    assert turned == pytest.approx(there, abs=1e-5)  # a capsule turned about its own line is the same capsule
    assert away[0, 1] < 0.01 < there[0, 1]


def test_a_box_is_nearest_at_its_face_edge_or_corner() -> None:
    half = (0.01, 0.02, 0.03)
    offset = np.array([[0.03, 0, 0], [0.03, 0.04, 0], [0.03, -0.04, 0.05]])
    found = features(finger(half, 0.0), STATE, np.column_stack([np.zeros((3, 2)), offset]))[:, 0, 0, 0]
    gaps = np.array([0.02, np.hypot(0.02, 0.02), np.sqrt(3) * 0.02]) - 0.01
    assert found == pytest.approx(np.exp(-gaps / REACH), rel=1e-4)


@given(st.lists(st.floats(-0.03, 0.03), min_size=5, max_size=5))
@settings(max_examples=50, deadline=None)
def test_values_and_slopes_are_finite_even_within_a_finger(values: list[float]) -> None:
    contacts = TorchContacts(finger(), STATE)
    for state in (values, [values[0], values[1], 0.0, 0.0, 0.0]):  # the second is on A's core itself
        x = torch.tensor([state], requires_grad=True)
        y = contacts(x)
        y.sum().backward()
        assert torch.isfinite(y).all()
        assert torch.isfinite(x.grad).all()
        assert y.abs().max() <= np.exp(-DEEPEST / REACH) + 1e-6


@pytest.fixture
def touching(toy_spec: ModelSpec) -> ModelSpec:
    """The toy hand's two joints as a finger that touches its box, whose x is all that moves."""
    names = ("A.position", "B.position", *(f"ball.position.{axis}" for axis in AXES))
    return toy_spec.model_copy(
        update={"state_names": names, "state_units": STATE.units, "periodic": (4,), "geometry": finger()}
    )


@pytest.mark.usefixtures("own_int8")
def test_the_file_computes_what_the_network_does(touching, toy_record, tmp_path) -> None:
    data = toy_record(10, 20)
    model = DynamicsEnsemble(touching, seed=1)
    model.fit_scaling(data, touching)
    state = np.repeat(data.state[None], 2, axis=0)
    state[1, :, 2:4] += 0.02
    expected = model.predictor()(state, data.action)
    spec = export_onnx(model, touching, tmp_path / "m.onnx", samples=(data.state, data.action))
    served = OnnxEnsemble.load(tmp_path / "m.onnx")
    assert served.spec.geometry == touching.geometry
    assert np.allclose(served.predict(state, data.action), expected, atol=2e-5)
    network = network_of(ModelFile.read(tmp_path / "m.onnx"), spec)
    assert np.allclose(network.predictor()(state, data.action), expected, atol=2e-5)
    export_onnx(model, touching, tmp_path / "m8.onnx", precision="int8", samples=(data.state, data.action))
    rounded = OnnxEnsemble.load(tmp_path / "m8.onnx").predict(state, data.action)
    assert np.sqrt(np.mean(((rounded - expected) / model.delta_std.numpy()) ** 2)) < INT8_RMS_TOLERANCE


def test_the_features_reach_the_network(touching, toy_record) -> None:
    data = toy_record(10, 20)
    bare = touching.model_copy(update={"geometry": None})
    config = TrainConfig(hidden=(16, 16), ensemble_size=2, max_epochs=1, horizon=1)
    judge = toy_record(3, 20, seed=1)
    widths = [EnsembleTrainer(spec, config).fit(data, judge).model.weights[0].shape[1] for spec in (bare, touching)]
    assert widths[1] - widths[0] == 8  # one ball, two surfaces


def test_weights_of_another_geometry_are_refused(touching) -> None:
    bare = DynamicsEnsemble(touching.model_copy(update={"geometry": None}))
    with pytest.raises(ModelError, match="feature_mean"):
        DynamicsEnsemble(touching).load_weights(bare.state_dict())
