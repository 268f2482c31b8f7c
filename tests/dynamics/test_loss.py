# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The loss against the same formula in NumPy, and what noise on the start must not do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics import loss as loss_module
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.loss import RolloutLoss
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.spaces import wrap_angle

BOX, DIAL = 3, 4  # the box's velocity and the periodic dial, of the toy's state


@pytest.fixture(scope="module")
def data(toy_record) -> TransitionSet:
    return toy_record(6, 12)


@pytest.fixture(scope="module")
def model(data, toy_spec) -> DynamicsEnsemble:
    spec = toy_spec.model_copy(update={"ensemble_size": 2, "hidden": (8,)})
    made = DynamicsEnsemble(spec, seed=3)
    made.fit_scaling(data, spec)
    return made


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("huber", [None, 0.4])
def test_it_is_the_mean_over_rollouts_steps_and_entries(model, data, toy_spec, horizon, huber) -> None:
    loss = RolloutLoss(model, toy_spec, huber, {"box.velocity": 3.0})
    rows = loss.rows(data, horizon)
    scale = loss.scale(rows)
    found = loss(rows, rows.windows().expand(2, -1, -1), scale, None).detach().numpy()

    windows, predict, weight = data.windows(horizon), model.predictor(), np.ones(5)
    weight[BOX] = 3.0
    state = np.repeat(data.state[windows[:, 0]][None], 2, axis=0)
    expected = np.zeros(2)
    for j in range(horizon):
        state = predict(state, data.action[windows[:, j]])
        error = state - data.next_state[windows[:, j]]
        error[..., DIAL] = wrap_angle(error[..., DIAL])
        size = np.abs(error) / scale[j].numpy()
        cost = size**2 if huber is None else np.where(size < huber, size**2, huber * (2 * size - huber))
        expected += (cost * weight / weight.mean()).mean((1, 2)) / horizon
    assert found == pytest.approx(expected, rel=1e-4)


def test_far_steps_have_a_scale_of_their_own(model, data, toy_spec) -> None:
    loss = RolloutLoss(model, toy_spec, None, {})
    scale = loss.scale(loss.rows(data, 3)).numpy()
    assert scale[0] == pytest.approx(model.delta_std.numpy())
    assert scale[2, 2] > 1.3 * scale[0, 2]  # the box goes on where it went
    windows = data.windows(3)
    change = data.next_state[windows[:, 2], 2] - data.state[windows[:, 0], 2]
    assert scale[2, 2] == pytest.approx(np.sqrt(np.mean(change**2)), rel=1e-5)


def test_what_swings_back_and_forth_has_the_scale_of_one_step(data, toy_spec) -> None:
    """After two steps it is back: errors of it in units of that would drown all others."""
    state, next_state = np.array(data.state), np.array(data.next_state)
    state[:, BOX], next_state[:, BOX] = data.step % 2, (data.step + 1) % 2
    swinging = TransitionSet(state, data.action, next_state, data.episode, data.step, data.episode_keys)
    spec = toy_spec.model_copy(update={"ensemble_size": 2, "hidden": (8,)})
    made = DynamicsEnsemble(spec, seed=3)
    made.fit_scaling(swinging, spec)
    loss = RolloutLoss(made, toy_spec, None, {})
    scale = loss.scale(loss.rows(swinging, 3)).numpy()
    assert scale[:, BOX] == pytest.approx([1.0, 1.0, 1.0], rel=0.02)


def test_of_two_weights_the_longer_prefix_wins(model, toy_spec) -> None:
    weight = RolloutLoss(model, toy_spec, None, {"box.velocity": 8.0, "box": 2.0}).weight.numpy()
    assert weight / weight[0] == pytest.approx([1, 1, 2, 8, 1])
    assert weight.mean() == pytest.approx(1.0)


def test_noise_on_the_start_is_no_error_of_the_prediction(data, toy_spec) -> None:
    spec = toy_spec.model_copy(update={"ensemble_size": 2, "hidden": (8,)})
    blind = DynamicsEnsemble(spec, seed=3)
    blind.fit_scaling(data, spec)
    with torch.no_grad():
        blind.weights[0].zero_()  # the change that it predicts is the same everywhere
    loss = RolloutLoss(blind, toy_spec, None, {})
    rows = loss.rows(data, 2)
    windows, scale = rows.windows().expand(2, -1, -1), loss.scale(rows)
    none = torch.zeros(2, len(rows), 5)
    some = torch.randn(none.shape, generator=torch.Generator().manual_seed(0))
    plain = loss(rows, windows, scale, None)
    assert torch.allclose(loss(rows, windows, scale, (some, none)), plain, rtol=1e-4)
    assert (loss(rows, windows, scale, (none, some)) > plain + 0.5).all()  # on targets it is one


def test_windows_are_thinned_evenly(model, data, toy_spec) -> None:
    loss = RolloutLoss(model, toy_spec, None, {})
    few = loss.rows(data, 2, max_windows=5).windows()[:, 0].tolist()
    assert len(few) == 5
    assert (few[0], few[-1]) == (data.windows(2)[0, 0], data.windows(2)[-1, 0])
    assert len(loss.rows(data, 2, max_windows=10_000)) == len(data.windows(2))


@pytest.mark.parametrize("weights", [{"cube": 2.0}, {"box": -1.0}, dict.fromkeys(("A", "B", "box", "dial"), 0.0)])
def test_weights_that_make_no_sense_are_refused(model, toy_spec: ModelSpec, weights: dict[str, float]) -> None:
    with pytest.raises(DatasetError, match="loss_weights"):
        RolloutLoss(model, toy_spec, None, weights)


def test_a_row_of_twice_the_weight_counts_as_two(model, data, toy_spec) -> None:
    heavy = data.episode < 2
    weighted = replace(data, weight=np.where(heavy, 2.0, 1.0))
    loss = RolloutLoss(model, toy_spec, None, {})
    plain, rows = loss.rows(data, 3), loss.rows(weighted, 3)
    scale = loss.scale(plain)
    own = torch.tensor(heavy)[rows.windows()[:, 0]]
    twice = torch.cat([plain.windows(), plain.windows()[own]])
    found = loss(rows, rows.windows().expand(2, -1, -1), scale, None)
    assert found.detach().numpy() == pytest.approx(
        loss(plain, twice.expand(2, -1, -1), scale, None).detach().numpy(), rel=1e-5
    )


def test_the_scale_of_many_windows_is_that_of_all_at_once(model, data, toy_spec, monkeypatch) -> None:
    loss = RolloutLoss(model, toy_spec, None, {})
    rows = loss.rows(data, 3)
    whole = loss.scale(rows)
    monkeypatch.setattr(loss_module, "_SCALE_WINDOWS", 7)
    assert torch.allclose(whole, loss.scale(rows), rtol=1e-5)
