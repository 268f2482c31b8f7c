# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An actor of another library as a policy file: the same action, whatever the task's angles are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("torch")
from mbrl_controller.base.errors import ModelError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.actor_input import ActorInput
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.onnx_policy import OnnxPolicy


def made(task, steps=(1, 5), hidden=(8, 7)):
    contract, rng = contract_for(task), np.random.default_rng(0)
    spec = HeadSpec.of("policy", contract.task, contract.file.robot, contract.action, steps, hidden)
    states = rng.normal(size=(50, len(contract.task.state)))
    goals = rng.normal(size=(30, len(steps), len(contract.task.goal)))
    inputs = ActorInput(spec, states, goals)
    layers = [
        (rng.normal(size=(b, a)).astype(np.float32) / np.sqrt(a), rng.normal(size=b).astype(np.float32))
        for a, b in pairwise([inputs.size, *hidden, len(contract.action)])
    ]
    return contract, inputs, layers, states[:30], goals


def act(features, layers):
    for weight, bias in layers[:-1]:
        features = np.maximum(features @ weight.T + bias, 0)
    return np.tanh(features @ layers[-1][0].T + layers[-1][1])


@pytest.mark.parametrize(("task", "steps"), [("valve", (1, 5)), ("baoding", (2,)), ("cube", (1, 3, 9))])
def test_the_file_acts_as_the_actor(task, steps, tmp_path):
    contract, inputs, layers, states, goals = made(task, steps)
    inputs.export(tmp_path / "policy.onnx", layers)
    policy = OnnxPolicy.load(tmp_path / "policy.onnx", task=contract.task, action=contract.action)
    ahead = np.zeros((30, steps[-1], goals.shape[-1]))
    ahead[:, [step - 1 for step in steps]] = goals
    assert np.allclose(policy.plans(states, ahead)[:, 0], act(inputs(states, goals), layers), atol=1e-5)
    assert policy.spec == inputs.spec


def test_features_have_the_shape_of_what_they_are_of():
    _, inputs, _, states, goals = made("valve")
    rows = inputs(states, goals)
    assert rows.shape == (30, inputs.size)
    assert (inputs(states[4], goals[4]) == rows[4]).all()
    assert (inputs(states.reshape(5, 6, -1), goals.reshape(5, 6, 2, 1)) == rows.reshape(5, 6, -1)).all()


def test_layers_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path):
    _, inputs, layers, *_ = made("valve")
    path = tmp_path / "policy.onnx"
    for wrong in ([], layers[1:], layers[:-1], [*layers, layers[-1]]):
        with pytest.raises(ModelError, match="do not fit"):
            inputs.export(path, wrong)
    assert not path.exists()
    with pytest.raises(ModelError, match="too few"):
        ActorInput(inputs.spec, np.zeros((1, 20)), np.zeros((5, 2, 1)))
