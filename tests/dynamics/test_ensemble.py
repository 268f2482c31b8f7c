# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The network: what it makes of angles, targets and far-away states."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.weights import load_arrays, save_arrays

FINITE = st.floats(-4, 4, width=32)


def ready(toy_spec, toy_record, **options) -> DynamicsEnsemble:
    model = DynamicsEnsemble(toy_spec, **options)
    model.fit_scaling(toy_record(10, 20), toy_spec)
    return model


def both(toy_record, rows: int = 50) -> tuple[np.ndarray, np.ndarray]:
    data = toy_record(5, 20, seed=3)
    return np.repeat(data.state[None, :rows], 2, axis=0), data.action[:rows]


@pytest.mark.parametrize("action_input", ["target", "error"])
@given(arrays(np.float32, (6, 5), elements=FINITE), arrays(np.float32, (6, 2), elements=FINITE))
@settings(deadline=None, max_examples=40)
def test_a_raw_candidate_and_its_clipped_command_are_one_input(
    toy_spec, toy_record, toy_action, action_input, state, target
) -> None:
    predict = ready(toy_spec, toy_record, action_input=action_input).predictor()
    members = np.repeat(state[None], 2, axis=0)
    clipped = toy_action.limit(target.astype(float), state[:, :2].astype(float))
    assert np.allclose(predict(members, target), predict(members, clipped), atol=1e-5)


def test_an_angle_means_the_same_a_turn_later(toy_spec, toy_record) -> None:
    predict = ready(toy_spec, toy_record).predictor()
    state, action = both(toy_record)
    turned = state.copy()
    turned[..., 4] += 2 * np.pi
    change, later = predict(state, action) - state, predict(turned, action) - turned
    assert np.allclose(change, later, atol=1e-5)


def test_members_see_their_own_state_and_differ(toy_spec, toy_record) -> None:
    predict = ready(toy_spec, toy_record).predictor()
    state, action = both(toy_record)
    first = predict(state, action)
    assert not np.allclose(first[0], first[1])
    state[1] += 0.1
    again = predict(state, action)
    assert np.array_equal(first[0], again[0])
    assert not np.allclose(first[1], again[1])


def test_far_states_are_clamped_not_extrapolated(toy_spec, toy_record) -> None:
    predict = ready(toy_spec, toy_record).predictor()
    state, action = both(toy_record)
    state[..., 2] = 50.0
    farther = state.copy()
    farther[..., 2] = 5000.0
    near, far = predict(state, action) - state, predict(farther, action) - farther
    assert np.allclose(near, far, atol=1e-3 * 5000 * np.finfo(np.float32).eps + 1e-3)


def test_a_seed_fixes_a_member_whatever_the_ensemble_size(toy_spec) -> None:
    two, again, other = (DynamicsEnsemble(toy_spec, seed=s) for s in (7, 7, 8))
    five = DynamicsEnsemble(toy_spec.model_copy(update={"ensemble_size": 5}), seed=7)
    assert torch.equal(two.weights[0], again.weights[0])
    assert torch.equal(two.weights[1], five.weights[1][:2])
    assert not torch.equal(two.weights[0], other.weights[0])


def test_new_scaling_keeps_the_function(toy_spec, toy_record) -> None:
    model = ready(toy_spec, toy_record)
    state, action = both(toy_record)
    before, scale = model.predictor()(state, action), model.delta_std.clone()
    wider = toy_record(10, 60, seed=5)
    model.fit_scaling(wider, toy_spec, keep_function=True)
    assert not torch.equal(scale, model.delta_std)
    assert np.allclose(before, model.predictor()(state, action), atol=1e-5)


def test_a_state_without_a_joint_position_is_refused(toy_spec) -> None:
    with pytest.raises(ModelError, match=r"C\.position"):
        DynamicsEnsemble(toy_spec.model_copy(update={"action_names": ("A", "C")}))


def test_weights_survive_a_file_and_say_when_they_do_not_fit(toy_spec, toy_record, tmp_path) -> None:
    model, path = ready(toy_spec, toy_record, seed=3), tmp_path / "weights.npz"
    save_arrays(path, model.state_dict(), {"note": 1})
    weights, note = load_arrays(path)
    other = DynamicsEnsemble(toy_spec)
    other.load_weights(weights)
    state, action = both(toy_record)
    assert note == {"note": 1}
    assert np.array_equal(model.predictor()(state, action), other.predictor()(state, action))
    with pytest.raises(ModelError, match=r"weights\.0 has shape"):
        DynamicsEnsemble(toy_spec.model_copy(update={"hidden": (16, 16)})).load_weights(weights)
    with pytest.raises(ModelError, match="action_input"):
        DynamicsEnsemble(toy_spec, action_input="target").load_weights(weights)


def test_a_damaged_weights_file_is_named(tmp_path) -> None:
    path = tmp_path / "weights.npz"
    with pytest.raises(ModelError, match="no such file"):
        load_arrays(path)
    save_arrays(path, {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelError, match=r"weights\.npz.*damaged"):
        load_arrays(path)
    np.save(tmp_path / "plain.npy", np.ones(3))
    with pytest.raises(ModelError, match=r"plain\.npy"):
        load_arrays(tmp_path / "plain.npy")
