# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulator with a network that corrects it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.residual import corrected, target
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.identified import IdentifiedRollout
from mbrl_controller.simulation.residual import load_residual
from mbrl_controller.tasks.orientation import random_orientation
from mbrl_controller.tasks.spaces import AXES, VectorSpec

from ..linear_model import linear_model_bytes

VALUES = {"gain_factor": 0.8}
MEMBERS = 2


def network(contract, mix, residual_to="0" * 64):
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, MEMBERS, (1,))
    spec = spec.model_copy(update={"residual_to": residual_to})
    return ModelFile.of(Path("model.onnx"), linear_model_bytes(mix.astype(np.float32), spec.to_metadata()))


@pytest.fixture
def setting(contract_of):
    contract = contract_of("valve")
    hand = HandSimulation(contract)
    hand.reset(1)
    draws = np.random.default_rng(0).uniform(-1, 1, (3, 3, len(contract.action)))
    mix = np.zeros((MEMBERS, len(contract.action), len(contract.task.state)))
    return contract, hand.state(), contract.action.to_target(draws), mix


def test_it_is_the_simulator_exactly_where_the_network_predicts_no_change(setting):
    contract, state, targets, mix = setting
    model = load_residual(contract, VALUES, "v1", network(contract, mix))
    simulated = IdentifiedRollout(contract, VALUES).rollout(state, targets)
    np.testing.assert_array_equal(model.rollout(state, targets), np.repeat(simulated, MEMBERS, axis=0))


def test_each_member_goes_on_from_its_own_correction(setting):
    contract, state, targets, mix = setting
    valve = contract.task.state.index("valve.velocity")
    mix[1, :, valve] = 0.1
    model = load_residual(contract, VALUES, "v1", network(contract, mix))
    found = model.rollout(state, targets)
    simulated = IdentifiedRollout(contract, VALUES).rollout(state, targets)
    np.testing.assert_array_equal(found[0], simulated[0])
    added = found[1, :, 0] - simulated[0, :, 0]
    np.testing.assert_allclose(added[:, valve], targets[:, 0].sum(-1) * 0.1, atol=1e-5)
    turned = contract.task.state.index("valve.position")
    assert np.abs(found[1, :, 1, turned] - simulated[0, :, 1, turned]).min() > 1e-5  # the valve goes on turning
    one = model.predict(np.tile(state, (MEMBERS, len(targets), 1)), targets[:, 0])
    np.testing.assert_allclose(one, found[:, :, 0], atol=1e-6)


def test_a_network_of_the_whole_change_is_refused(setting):
    contract, _, _, mix = setting
    with pytest.raises(ModelError, match="whole change"):
        load_residual(contract, VALUES, "v1", network(contract, mix, residual_to=""))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_learnt_is_what_is_added(seed):
    rng = np.random.default_rng(seed)
    names = ("a.position", *(f"cube.orientation.{axis}" for axis in AXES))
    layout = VectorSpec(names, ("rad", *[""] * 6), periodic=(0,))

    def drawn():
        return np.concatenate([rng.uniform(-3, 3, 1), random_orientation(rng)])

    state, simulated, measured = drawn(), drawn(), drawn()
    learnt = target(layout, state, simulated, measured)
    found = corrected(layout, state, simulated, learnt)
    np.testing.assert_allclose(layout.difference(found, measured), 0, atol=1e-9)
    np.testing.assert_allclose(corrected(layout, state, simulated, state), simulated, atol=1e-9)
