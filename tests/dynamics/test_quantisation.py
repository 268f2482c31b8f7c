# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Levels, ranges and biases of the 8-bit layers, by a simulation of what the graph computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mbrl_controller.dynamics import quantisation
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.quantisation import INPUT_ZERO, MIN_EQUALISATION, _equalised, quantise
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble

pytestmark = pytest.mark.usefixtures("own_int8")


@pytest.fixture
def model(toy_spec, toy_record) -> DynamicsEnsemble:
    spec = toy_spec.model_copy(update={"hidden": (64, 48)})
    network = DynamicsEnsemble(spec, seed=2)
    network.fit_scaling(toy_record(10, 20), spec)
    with torch.no_grad():  # as after training: units that are hardly ever off, whose rounding does not average out
        network.biases[0] += 0.5
    return network


def change(model: DynamicsEnsemble, state: np.ndarray, action: np.ndarray, correct: bool = True) -> np.ndarray:
    """The 8-bit network's change of state [E, N, S], computed from its layers."""
    step, members = quantise(model, state, action)
    x = model.scaled_features(*(torch.tensor(v, dtype=torch.float32) for v in (state[None].repeat(2, 0), action)))
    results = []
    for e, layers in enumerate(members):
        levels = np.clip(np.rint(x[e].double().numpy() / step) + INPUT_ZERO, 0, 255)
        zero, unit = INPUT_ZERO, step
        for i, layer in enumerate(layers):
            bias = layer.bias if correct else plain_bias(model, i, e)
            y = ((levels - zero) * unit) @ (layer.weight * layer.weight_step.astype(float)) + bias
            if i < len(layers) - 1:
                zero, unit = 0, layer.output_step
                levels = np.clip(np.rint(y / unit), 0, 255)
        results.append(y)
    return np.array(results)


def plain_bias(model: DynamicsEnsemble, i: int, e: int) -> np.ndarray:
    """What the bias would be without the correction."""
    ones = [torch.ones(model.size, width, dtype=torch.float64) for width in model.hidden]
    return _equalised(model, ones)[0][i][1][e, 0].numpy()


@pytest.mark.parametrize("coarse", [True, False])
def test_the_graph_computes_the_layers(model, toy_spec, toy_record, tmp_path, monkeypatch, coarse) -> None:
    monkeypatch.setattr(quantisation, "MAX_PER_LAYER_RMS", 1.0 if coarse else 0.0)
    data = toy_record(5, 20, seed=1)
    export_onnx(model, toy_spec, tmp_path / "m.onnx", precision="int8", samples=(data.state, data.action))
    served = OnnxEnsemble.load(tmp_path / "m.onnx").predict(data.state, data.action)
    expected = data.state + change(model, data.state, data.action)
    error = np.abs(served - expected) / model.delta_std.numpy()
    assert np.quantile(error, 0.98) < 1e-3  # a level here and there rounds the other way
    assert error.max() < 0.1


def test_on_the_data_no_output_is_shifted(model, toy_record) -> None:
    """The mean error over the data vanishes; with the network's own biases it does not."""
    data = toy_record(10, 20, seed=1)
    exact = model.predictor()(data.state[None].repeat(2, 0), data.action) - data.state
    shift, plain = (
        np.abs(((change(model, data.state, data.action, correct) - exact) / model.delta_std.numpy()).mean(1))
        for correct in (True, False)
    )
    assert shift.max() < 1e-4
    assert plain.max() > 20 * shift.max()


def test_new_data_is_shifted_less_than_without_the_correction(model, toy_record) -> None:
    fit, other = toy_record(10, 20, seed=1), toy_record(10, 20, seed=7)
    both = np.concatenate([fit.state, other.state]), np.concatenate([fit.action, other.action])
    exact = model.predictor()(other.state[None].repeat(2, 0), other.action) - other.state
    shift, plain = (
        np.abs((change(model, *both, correct)[:, len(fit.state) :] - exact).mean(1) / model.delta_std.numpy()).mean()
        for correct in (True, False)
    )
    assert shift < 0.7 * plain


@pytest.mark.parametrize("coarse", [True, False])
def test_weights_use_their_whole_range(model, toy_record, monkeypatch, coarse) -> None:
    """The outputs have a step per column; hidden layers one for all, unless that rounds too much."""
    monkeypatch.setattr(quantisation, "MAX_PER_LAYER_RMS", 1.0 if coarse else 0.0)
    data = toy_record(5, 20, seed=1)
    for *hidden, last in quantise(model, data.state, data.action)[1]:
        assert (np.abs(last.weight.astype(int)).max(0) == 127).all()
        assert last.weight_step.shape == (last.weight.shape[1],)
        for layer in hidden:
            largest = np.abs(layer.weight.astype(int)).max(0)
            assert largest.max() == 127
            assert layer.weight_step.shape == (() if coarse else (layer.weight.shape[1],))
            assert coarse or (largest == 127).all()


def test_equalisation_changes_no_prediction(model, toy_record) -> None:
    data = toy_record(5, 20, seed=1)
    with torch.no_grad():
        model.weights[0][:, :, 3] *= 0.01  # a unit of hardly any weight
        model.weights[0][:, :, 5] = 0.0
    ranges = [torch.rand(model.size, width, dtype=torch.float64) + 0.1 for width in model.hidden]
    layers, largest = _equalised(model, ranges)
    inputs = (torch.tensor(v, dtype=torch.float32) for v in (data.state[None].repeat(2, 0), data.action))
    x = model.scaled_features(*inputs).double()
    for i, (weight, bias) in enumerate(layers):
        x = torch.bmm(x, weight) + bias
        x = x.relu() if i < len(layers) - 1 else x
    exact = model.predictor()(data.state[None].repeat(2, 0), data.action) - data.state
    assert np.allclose(x.detach().numpy(), exact, atol=1e-5)
    for unit, found in zip(ranges, largest, strict=True):
        assert (found >= unit.amax(1) - 1e-12).all()
        assert (found <= unit.amax(1) / MIN_EQUALISATION + 1e-12).all()


def test_ranges_hold_what_a_planner_may_try(model, toy_record) -> None:
    data = toy_record(5, 20, seed=1)
    _, members = quantise(model, data.state, data.action)
    wild = np.random.default_rng(3).uniform(model.lower.numpy(), model.upper.numpy(), data.action.shape)
    inputs = (torch.tensor(v, dtype=torch.float32) for v in (data.state[None].repeat(2, 0), wild))
    for i, hidden in enumerate(model.hidden_activations(*inputs)):
        for e, layers in enumerate(members):
            beyond = hidden[e].detach().numpy() > 1.2 * 255 * layers[i].output_step
            assert beyond.mean() < 1e-3


def test_a_network_of_zeros_has_layers_without_infinities(model, toy_record) -> None:
    with torch.no_grad():
        for weight in model.weights:
            weight.zero_()
    data = toy_record(5, 20, seed=1)
    for layers in quantise(model, data.state, data.action)[1]:
        for layer in layers:
            assert np.isfinite(layer.weight_step).all()
            assert np.isfinite(layer.bias).all()
            assert not layer.weight.any()
