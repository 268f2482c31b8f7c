# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Metrics on held-out episodes, against predictors whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.validation import evaluate, groups


def perfect(physics):
    return lambda state, action: np.stack([physics(member, action) for member in state])


def test_the_true_physics_makes_no_error(toy_physics, toy_record, toy_spec) -> None:
    metrics = evaluate(perfect(toy_physics), toy_record(6, 20), toy_spec, horizon=4)
    assert metrics["one_step_nrmse"] < 1e-9
    assert metrics["horizon_nrmse"] < 1e-9
    assert metrics["disagreement_limit"] < 1e-9
    assert metrics["stay_horizon_nrmse"] > metrics["stay_one_step_nrmse"] > 0.5


def test_a_constant_offset_adds_up_over_the_horizon(toy_physics, toy_record, toy_spec) -> None:
    offset = np.array([0, 0, 0, 0, 0.01])  # rad, on the dial, which wraps

    def biased(state, action):
        return perfect(toy_physics)(state, action) + offset

    metrics = evaluate(biased, toy_record(6, 20), toy_spec, horizon=4)
    assert metrics["one_step_rmse.dial.angle"] == pytest.approx(0.01)
    assert metrics["horizon_rmse.dial.angle"] == pytest.approx(0.04)
    assert metrics["one_step_rmse.joints.position"] < 1e-9


def test_predicting_no_motion_is_the_baseline(toy_record, toy_spec) -> None:
    metrics = evaluate(lambda state, action: state, toy_record(6, 20), toy_spec, horizon=4)
    for name in ("one_step_nrmse", "horizon_nrmse", "one_step_rmse.box.position", "horizon_rmse.dial.angle"):
        assert metrics[name] == pytest.approx(metrics[f"stay_{name}"])


def test_disagreement_is_in_units_of_the_training_scale(toy_physics, toy_record, toy_spec) -> None:
    scale = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    spec = toy_spec.model_copy(update={"delta_scale": tuple(scale)})

    def split(state, action):
        return perfect(toy_physics)(state, action) + np.array([-1.0, 1.0])[:, None, None] * scale

    metrics = evaluate(split, toy_record(6, 20), spec, horizon=1)
    assert metrics["disagreement_p50"] == pytest.approx(1.0)
    assert metrics["disagreement_limit"] == pytest.approx(3.0)


def test_the_limit_is_three_times_what_one_held_out_row_in_a_thousand_exceeds(toy_record, toy_spec) -> None:
    """Members that are further apart the larger the first action is: by as many scales in every row."""
    scale = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    spec = toy_spec.model_copy(update={"delta_scale": tuple(scale)})
    made = toy_record(60, 50)
    rising = np.column_stack([np.arange(len(made)), made.action[:, 1]])
    data = TransitionSet(made.state, rising, made.next_state, made.episode, made.step, made.episode_keys)

    def split(state, action):
        return state + np.array([-1.0, 1.0])[:, None, None] * action[:, :1] * scale

    metrics = evaluate(split, data, spec, horizon=2, max_windows=10_000)
    last = len(data) - 1
    for name, quantile in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        assert metrics[f"disagreement_{name}"] == pytest.approx(quantile * last)
    assert metrics["disagreement_limit"] == pytest.approx(3 * 0.999 * last)
    ends = data.windows(2).sum(1)
    assert metrics["horizon_disagreement_p999"] == pytest.approx(np.quantile(ends, 0.999))


def test_entries_are_grouped_by_what_they_are(toy_spec) -> None:
    found = {name: entries.tolist() for name, entries in groups(toy_spec.state, toy_spec.action_names).items()}
    assert found == {"joints.position": [0, 1], "box.position": [2], "box.velocity": [3], "dial.angle": [4]}


def test_episodes_shorter_than_the_horizon_are_refused(toy_record, toy_spec) -> None:
    with pytest.raises(DatasetError, match="no 7 consecutive transitions"):
        evaluate(lambda state, action: state, toy_record(6, 3), toy_spec, horizon=7)
