# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Prediction errors of a model on validation episodes. NumPy only; for any predictor (torch, ONNX, another version)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import Index, TransitionSet, change_scale
from mbrl_controller.models.disagreement import disagreement
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.orientation import angle_between
from mbrl_controller.tasks.spaces import Array, VectorSpec, parse_entry

Predictor = Callable[[Array, Array], NDArray[Any]]  # (state [E, N, S], action [N, A]) -> next state [E, N, S]

HORIZON = 7  # steps of the open-loop validation: the planner's horizon
JUDGED = ("one_step_nrmse", "horizon_nrmse")  # the errors that decide which of two models is better
DISAGREEMENT_MARGIN = 3.0  # times the 99.9 % quantile on validation data; beyond it the model extrapolates


def evaluate(
    predict: Predictor, validation: TransitionSet, spec: ModelSpec, horizon: int = HORIZON, max_windows: int = 2000
) -> dict[str, float]:
    """Prediction errors as flat metrics.

    One step: every row. Horizon: open loop, each member on its own trajectory, error at the last step.

    Args:
        predict: (state [E, N, S], action [N, A]) -> next state [E, N, S].
        validation: Episodes that the model has not seen.
        spec: Description of the model.
        horizon: Steps of the open-loop error.
        max_windows: Largest number of windows for it, evenly spaced.

    Returns:
        `*_nrmse`: root mean square over rows, members and entries, each entry in units of its one-step change in the
        validation data (robust std), so that models validated on the same data can be compared. `stay_*`: the same
        for a prediction of no motion. `<one_step|horizon>_rmse.<group>`: in the entry's unit.
        `<one_step|horizon>_degrees.<object>`: root mean square angle to the true orientation. `disagreement_*`:
        quantiles in units of the spec's `delta_scale` (else of the data's), and a proposed `disagreement_limit`.
    """
    validation.require(what="validation data")
    layout = spec.state
    windows = validation.windows(horizon)
    if not len(windows):
        raise DatasetError(f"the validation data has no {horizon} consecutive transitions")
    windows = windows[np.unique(np.linspace(0, len(windows) - 1, min(max_windows, len(windows))).astype(int))]
    _, scale = change_scale(layout, [(validation.state, validation.next_state)])
    model_scale = np.array(spec.delta_scale) if spec.delta_scale else scale

    one_step = _rollout(predict, validation, np.arange(len(validation))[:, None], spec.ensemble_size)
    last = _rollout(predict, validation, windows, spec.ensemble_size)
    truth, end = validation.next_state, validation.next_state[windows[:, -1]]
    errors = {
        "one_step": layout.difference(one_step, truth),
        "stay_one_step": layout.difference(validation.state, truth)[None],
        "horizon": layout.difference(last, end),
        "stay_horizon": layout.difference(validation.state[windows[:, 0]], end)[None],
    }
    metrics = {f"{name}_nrmse": _rms(error / scale) for name, error in errors.items()}
    for name, error in errors.items():
        for group, entries in groups(layout, spec.action_names).items():
            metrics[f"{name}_rmse.{group}"] = _rms(error[..., entries])
    pairs = {
        "one_step": (one_step, truth),
        "stay_one_step": (validation.state, truth),
        "horizon": (last, end),
        "stay_horizon": (validation.state[windows[:, 0]], end),
    }
    for name, (found, true) in pairs.items():
        for start in layout.orientations:
            axes = slice(start, start + 6)
            angle = np.degrees(angle_between(found[..., axes], true[..., axes]))
            metrics[f"{name}_degrees.{parse_entry(layout.names[start]).owner}"] = _rms(angle)
    apart = disagreement(one_step, model_scale)
    for text, quantile in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        metrics[f"disagreement_{text}"] = float(np.quantile(apart, quantile))
    metrics["horizon_disagreement_p999"] = float(np.quantile(disagreement(last, model_scale), 0.999))
    metrics["disagreement_limit"] = DISAGREEMENT_MARGIN * metrics["disagreement_p999"]
    metrics["held_out_transitions"] = float(len(validation))
    metrics["held_out_windows"] = float(len(windows))
    return metrics


def longest_horizon(validation: TransitionSet) -> int:
    """HORIZON, or fewer steps if the validation episodes are shorter."""
    for steps in range(HORIZON, 1, -1):
        if len(validation.windows(steps)):
            return steps
    return 1


def groups(layout: VectorSpec, joints: tuple[str, ...]) -> dict[str, Index]:
    """State entries reported together: `joints.<quantity>`, and `<source>.<quantity>` of everything else."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(layout.names):
        source, _, rest = name.partition(".")
        quantity = rest.split(".")[0]
        found.setdefault(f"{'joints' if source in joints else source}.{quantity}".rstrip("."), []).append(i)
    return {group: np.array(entries, dtype=np.int64) for group, entries in found.items()}


def _rollout(predict: Predictor, data: TransitionSet, windows: Index, members: int, rows: int = 2048) -> Array:
    """Predicted states [E, W, S] after the last action of each window [W, k]."""
    parts = []
    for begin in range(0, len(windows), rows):
        window = windows[begin : begin + rows]
        state: Array = np.repeat(data.state[window[:, 0]][None], members, axis=0)
        for j in range(window.shape[1]):
            state = predict(state, data.action[window[:, j]])
        parts.append(np.asarray(state, dtype=np.float64))
    return np.concatenate(parts, axis=1)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
