# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Orientations in the networks' rollouts: the same axes in torch and ONNX as in NumPy, and proper after each step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.import_onnx import network_of
from mbrl_controller.dynamics.loss import RolloutLoss
from mbrl_controller.dynamics.torch_operations import TorchOperations
from mbrl_controller.dynamics.torch_rollout import TorchEnsemble
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.trainer import EnsembleTrainer
from mbrl_controller.dynamics.turn_noise import shaken
from mbrl_controller.dynamics.turning import TurnLayout, orthonormal
from mbrl_controller.dynamics.validation import evaluate
from mbrl_controller.models.disagreement import leading_orientation
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.golden_samples import INT8_RMS_TOLERANCE
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.spaces import AXES

SPIN = 0.4  # rad per rad of push, of the toy's wheel
TURNED = slice(1, 7)


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    """A joint that turns a wheel about the vertical, however the wheel was put on; its position does not change."""
    return ModelSpec(
        task="wheel", robot="finger", action_names=("A",), action_units=("rad",), action_lower=(-1.0,),
        state_names=("A.position", *(f"wheel.orientation.{axis}" for axis in AXES), "wheel.position.x"),
        state_units=("rad", *("",) * 6, "m"), action_upper=(1.0,), action_max_rate=(5.0,), control_period_s=0.1,
        ensemble_size=2, hidden=(16,),
    )  # fmt: skip


def recorded(episodes: int, steps: int, seed: int = 0) -> TransitionSet:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(episodes):
        state = np.concatenate([rng.uniform(-0.5, 0.5, 1), orientation.random_orientation(rng), [0.1]])
        for _ in range(steps):
            target = rng.uniform(-1, 1, 1)
            move = np.clip(target - state[:1], -0.5, 0.5)
            turn = orientation.about(np.array([0.0, 0.0, 1.0]), SPIN * move[0])
            after = np.concatenate([state[:1] + move, orientation.compose(turn, state[TURNED]), [0.1]])
            rows.append((state, target, after))
            state = after
    before, action, after = (np.array(values) for values in zip(*rows, strict=True))
    count = np.arange(episodes)
    return TransitionSet(before, action, after, np.repeat(count, steps), np.tile(np.arange(steps), episodes),
                         tuple(f"{seed}-{i}" for i in count))  # fmt: skip


@pytest.fixture(scope="module")
def data() -> TransitionSet:
    return recorded(30, 10)


@pytest.fixture(scope="module")
def learnt(spec: ModelSpec, data: TransitionSet) -> DynamicsEnsemble:
    config = TrainConfig(ensemble_size=2, hidden=(16,), max_epochs=12, batch=32, horizon=1, learning_rate=2e-2)
    return EnsembleTrainer(spec, config).fit(data, recorded(10, 15, seed=1)).model


def degenerate() -> np.ndarray:
    rng = np.random.default_rng(3)
    usual = rng.normal(size=(200, 6))
    x = rng.normal(size=(30, 3))
    along = np.concatenate([x, 3 * x], axis=1)
    special = [np.zeros(6), [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 2, 0], [0, 0, 0, 5, 0, 0], [0, -1, 0, 0, 1, 0],
               [1, 0, 0, 1e-7, 1, 0], [0, 0, 3, 0, 0, 0], [1e-3, 0, 0, 0, 0, 1e-3]]  # fmt: skip
    return np.concatenate([usual, 1e3 * usual, 1e-3 * usual, along, np.array(special, dtype=float)])


def test_torch_makes_axes_orthonormal_as_numpy_does(spec: ModelSpec) -> None:
    axes = degenerate()
    ops = TorchOperations(TurnLayout(spec.state).constants)
    columns = list(torch.tensor(axes, dtype=torch.float32).split(1, -1))
    found = torch.cat(orthonormal(ops, columns[:3], columns[3:]), -1).numpy()
    assert np.abs(found - orientation.orthonormal(axes.astype(np.float32).astype(float))).max() < 1e-6


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.usefixtures("own_int8")
def test_files_and_torch_turn_alike(learnt, spec, data, tmp_path: Path, precision) -> None:
    written = export_onnx(learnt, spec, tmp_path / "m.onnx", precision=precision, samples=(data.state, data.action))
    served = OnnxEnsemble.load(tmp_path / "m.onnx")
    targets = data.action[:21].reshape(3, 7, 1)
    states = served.rollout(data.state[0], targets)
    axes = states[..., TURNED].astype(float)
    assert np.abs(axes - orientation.orthonormal(axes)).max() < 1e-6
    if precision == "fp32":
        torch_states = TorchEnsemble.load(tmp_path / "m.onnx", device="cpu").rollout(data.state[0], targets)
        assert np.allclose(torch_states, states, atol=1e-5)
        again = network_of(ModelFile.read(tmp_path / "m.onnx"), written)
        rows = np.repeat(data.state[None, :50], 2, axis=0)
        assert np.allclose(again.predictor()(rows, data.action[:50]), learnt.predictor()(rows, data.action[:50]),
                           atol=1e-5)  # fmt: skip
    odd = np.repeat(data.state[:1], len(degenerate()), axis=0)
    odd[:, TURNED] = degenerate()
    found, expected = (
        predict(odd, np.zeros((len(odd), 1)))[..., TURNED]
        for predict in (
            served.predict,
            lambda state, action: learnt.predictor()(np.repeat(state[None], 2, axis=0), action),
        )
    )
    assert np.abs(found - orientation.orthonormal(found.astype(float))).max() < 1e-6
    if precision == "fp32":
        assert np.quantile(np.abs(found - expected), 0.999) < 1e-4
    error = served.predict(data.state, data.action) - learnt.predictor()(np.repeat(data.state[None], 2, 0), data.action)
    assert np.sqrt(np.mean((error / np.array(written.delta_scale)) ** 2)) < INT8_RMS_TOLERANCE


def test_a_turn_is_learnt_for_all_orientations_at_once(learnt) -> None:
    unseen = recorded(20, 10, seed=7)
    after = learnt.predictor()(np.repeat(unseen.state[None], 2, axis=0), unseen.action)
    error = orientation.angle_between(after[..., TURNED], unseen.next_state[None, :, TURNED])
    still = orientation.angle_between(unseen.state[:, TURNED], unseen.next_state[:, TURNED])
    assert np.sqrt(np.mean(error**2)) < 0.2 * np.sqrt(np.mean(still**2))


@pytest.mark.parametrize("axis", np.eye(3))
def test_scales_are_the_same_in_any_frame(spec, data, axis) -> None:
    model = DynamicsEnsemble(spec)
    model.fit_scaling(data, spec)
    turned, frame = [], orientation.about(axis, np.array(np.pi / 2))
    for state in (data.state, data.next_state):
        again = state.copy()
        again[:, TURNED] = orientation.compose(frame, state[:, TURNED])
        turned.append(again)
    other = DynamicsEnsemble(spec)
    other.fit_scaling(
        TransitionSet(turned[0], data.action, turned[1], data.episode, data.step, data.episode_keys), spec
    )
    assert np.allclose(other.delta_std.numpy(), model.delta_std.numpy(), rtol=1e-3)
    assert len(np.unique(model.delta_std.numpy()[TURNED])) == 1
    scale, mean = model.output_scaling()
    turns = orientation.rotation_vector(data.state[:, TURNED], data.next_state[:, TURNED])
    assert np.sqrt(np.mean(turns**2)) == pytest.approx(float(scale[1]), rel=0.1)
    assert mean[1:4].tolist() == [0.0, 0.0, 0.0]


def test_a_warm_start_keeps_the_predictions_under_a_new_scaling(learnt, spec, data) -> None:
    model = DynamicsEnsemble(spec)
    model.load_weights(learnt.state_dict())
    rows, action = np.repeat(data.state[None, :50], 2, axis=0), data.action[:50]
    before = model.predictor()(rows, action)
    model.fit_scaling(recorded(20, 15, seed=5), spec, keep_function=True)
    assert not torch.equal(model.delta_std, learnt.delta_std)
    assert np.allclose(model.predictor()(rows, action), before, atol=2e-3)


def test_noise_on_the_start_turns_the_start_and_all_that_follows(spec, data) -> None:
    """A model that predicts no turn, on data without turns: noise leaves proper axes, and no error."""
    model = DynamicsEnsemble(spec)
    model.fit_scaling(data, spec)
    with torch.no_grad():
        model.weights[-1].zero_()
        model.biases[-1].zero_()
        model.delta_mean.zero_()
    still = TransitionSet(data.state, data.action, data.state, data.episode, data.step, data.episode_keys)
    loss = RolloutLoss(model, spec, None, {})
    rows = loss.rows(still, 1)
    every = rows.windows()[:20].expand(2, -1, -1)
    draw = torch.zeros(2, 20, len(spec.state_names))
    draw[..., TURNED] = torch.randn(2, 20, 6, generator=torch.Generator().manual_seed(0))
    assert loss(rows, every, loss.scale(rows), (draw, 0 * draw)).max() < 1e-8
    on_target = loss(rows, every, loss.scale(rows), (0 * draw, draw))
    assert on_target.tolist() == pytest.approx([6 / 8] * 2, rel=0.5)  # six of eight entries, each off by a deviation
    start = rows.batch(rows.windows()[:20]).state[:, 0].expand(2, -1, -1)
    axes = shaken(model, start, draw * model.state_std)[..., TURNED].numpy().astype(float)
    assert np.abs(axes - orientation.orthonormal(axes)).max() < 1e-5


def test_errors_of_orientations_are_given_in_degrees(spec, data) -> None:
    tilt = orientation.about(np.array([1.0, 0.0, 0.0]), np.radians(5.0))

    def tilted(state: np.ndarray, action: np.ndarray) -> np.ndarray:
        after = np.array([data.next_state] * 2)
        after[..., TURNED] = orientation.compose(tilt, after[..., TURNED])
        return after

    metrics = evaluate(tilted, data, spec, horizon=1, max_windows=len(data))
    assert metrics["one_step_degrees.wheel"] == pytest.approx(5.0)
    still = orientation.angle_between(data.state[:, TURNED], data.next_state[:, TURNED])
    assert metrics["stay_one_step_degrees.wheel"] == pytest.approx(np.degrees(np.sqrt(np.mean(still**2))))
    assert "one_step_degrees.A" not in metrics


def test_the_disagreement_names_the_orientation_that_leads(spec) -> None:
    scale, still = np.full(8, 0.1), np.concatenate([[0.2], orientation.IDENTITY, [0.1]])
    members = np.array([still, still])
    assert leading_orientation(members, scale, spec.state) == ""
    members[:, TURNED] = orientation.about(np.array([0.0, 1.0, 0.0]), np.radians([-20.0, 20.0]))
    assert "wheel is turned: by 20 degrees" in leading_orientation(members, scale, spec.state)
    members[1, 0] += 5.0  # rad, of the joint
    assert leading_orientation(members, scale, spec.state) == ""
