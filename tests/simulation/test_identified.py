# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulator from a measured state: as the true one where all is measured, and honest where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.identified import IdentifiedRollout
from mbrl_controller.simulation.many_worlds import ManyWorlds
from mbrl_controller.simulation.measured_start import MeasuredStart
from mbrl_controller.simulation.physical_parameters import FittedModels
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.simulation.start import held_controls, start_qpos

OTHER = {"gain_factor": 0.7, "friction_factor": 1.4, "damping_factor": 2.0, "loose_friction_factor": 3.0}


def candidates(contract, count, horizon):
    draws = np.random.default_rng(0).uniform(-1, 1, (count, horizon, len(contract.action)))
    return contract.action.to_target(draws)


@pytest.mark.parametrize("values", [{}, OTHER])
def test_it_predicts_what_a_hand_with_these_options_does(contract_of, values):
    contract = contract_of("valve")  # its state has all positions and velocities
    hand = HandSimulation(contract, SimOptions(**values))
    hand.reset(1)
    hand.step(candidates(contract, 1, 1)[0, 0])
    targets = candidates(contract, 3, 3)
    states = IdentifiedRollout(contract, values).rollout(hand.state(), targets)
    now = hand.snapshot()
    for own, found in zip(targets, states[0], strict=True):
        hand.restore(now)
        np.testing.assert_allclose(found, [hand.step(target) for target in own], atol=1e-9)


def test_other_options_predict_something_else(contract_of):
    contract = contract_of("valve")
    hand, targets = HandSimulation(contract), candidates(contract, 1, 2)
    nominal = IdentifiedRollout(contract, {}).rollout(hand.state(), targets)
    for name, value in OTHER.items():
        if name not in ("friction_factor", "loose_friction_factor"):  # which need a contact
            found = IdentifiedRollout(contract, {name: value}).rollout(hand.state(), targets)
            assert np.abs(found - nominal).max() > 1e-3, name


def test_a_measured_state_comes_back(hand):
    """Of every shipped world: positions, velocities and orientations, in the contract's frame."""
    contract, scene = hand.contract, hand.scene
    hand.reset(3)
    hand.step(contract.action.neutral)
    hand.data.qvel[:] = np.random.default_rng(0).uniform(-0.1, 0.1, hand.model.nv)
    state = scene.reader.read(hand.data.qpos, hand.data.qvel, hand.data.sensordata)
    worlds = ManyWorlds(scene, contract.action)
    physics = MeasuredStart(scene, contract, worlds).physics(np.stack([state, state]))
    found = scene.reader.read(physics[:, worlds.qpos], physics[:, worlds.qvel], np.tile(hand.data.sensordata, (2, 1)))
    np.testing.assert_allclose(found, [state, state], atol=1e-9)


def test_what_is_not_measured_is_said_and_estimated(contract_of):
    contract = contract_of("baoding")
    hand = HandSimulation(contract)
    worlds = ManyWorlds(hand.scene, contract.action)
    start = MeasuredStart(hand.scene, contract, worlds)
    assert "velocity of 24 joints" in start.unseen
    assert "orientation of ball_a" in start.unseen
    state = hand.state()[None]
    assert np.abs(start.physics(state)[:, worlds.qvel][:, hand.scene.hand.qvel]).max() == 0
    before = state.copy()
    before[:, contract.task.joint_positions[0]] -= 0.01
    speeds = start.physics(state, before)[0, worlds.qvel][hand.scene.hand.qvel]
    assert speeds[0] == pytest.approx(0.01 / contract.action.period)
    assert np.abs(speeds[1:]).max() < 1e-9


def test_a_state_that_is_no_number_gives_none(contract_of):
    contract = contract_of("valve")
    hand, targets = HandSimulation(contract), candidates(contract, 2, 2)
    model = IdentifiedRollout(contract, {})
    broken = hand.state()
    broken[0] = np.nan
    assert np.isnan(model.rollout(broken, targets)).all()
    assert np.isfinite(model.rollout(hand.state(), targets)).all()


def test_latency_keeps_the_former_target_in_force(contract_of):
    contract = contract_of("valve")
    hand = HandSimulation(contract)
    worlds, start = ManyWorlds(hand.scene, contract.action), start_qpos(hand.scene, contract)
    physics = np.zeros((1, worlds.size))
    physics[0, worlds.qpos] = start
    ctrl, model = held_controls(hand.scene, start), hand.model
    first, second = candidates(contract, 2, 1)[:, 0][:, None]
    old = worlds.step(model, physics, first, ctrl)[1]
    new = worlds.step(model, physics, second, ctrl)[1]
    period = contract.action.period
    limited = contract.action.limit(first, hand.scene.hand.positions(start)[None])
    none, whole, part = (
        worlds.step(model, physics, second, ctrl, limited, latency)[1] for latency in (0.0, period, 0.0125)
    )
    np.testing.assert_array_equal(none, new)
    np.testing.assert_array_equal(whole, old)
    assert 0 < np.abs(part - new).max() < np.abs(old - new).max()


@pytest.mark.parametrize("values", [{"colour": 1.0}, {"gain_factor": -1.0}, {"joint_noise": 0.1}])
def test_what_is_no_parameter_is_refused(contract_of, values):
    with pytest.raises(MbrlError, match=next(iter(values))):
        IdentifiedRollout(contract_of("valve"), values)


def test_models_do_not_change_the_scenes(valve):
    before = valve.scene.model.dof_damping.copy()
    changed = FittedModels(valve.scene).model({"damping_factor": 3.0})
    np.testing.assert_array_equal(valve.scene.model.dof_damping, before)
    assert not np.array_equal(changed.dof_damping, before)
