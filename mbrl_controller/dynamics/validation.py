# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How wrong a model is on episodes it has never seen. NumPy only; any predictor: torch, ONNX, the version in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import Index, TransitionSet, robust_scale
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.planning.risk import disagreement
from mbrl_controller.tasks.spaces import Array, VectorSpec

Predictor = Callable[[Array, Array], NDArray[Any]]  # (state [E, N, S], action [N, A]) -> next state [E, N, S]

HORIZON = 7  # steps of the whole-horizon validation: the planner's
JUDGED = ("one_step_nrmse", "horizon_nrmse")  # the errors that decide which of two models is better
DISAGREEMENT_MARGIN = 3.0  # times the 99.9 % quantile on held-out data: beyond it the model is in unknown country


def evaluate(
    predict: Predictor, held_out: TransitionSet, spec: ModelSpec, horizon: int = HORIZON, most_windows: int = 2000
) -> dict[str, float]:
    """Errors of `predict` (state [E, N, S], action [N, A]) -> [E, N, S] on held-out episodes, as flat metrics.

    One step: every row. Horizon: open loop, each member on its own trajectory, error at the last of `horizon` steps
    over evenly spaced windows (at most `most_windows`).

    `*_nrmse`: root of the mean square over rows, members and entries, each entry in units of its one-step change in
    the held-out data (robust std), so that two models judged on the same data can be compared. `stay_*` predicts no
    motion. `<one_step|horizon>_rmse.<group>`: in the entry's unit. `disagreement_*`: quantiles in units of the
    spec's `delta_scale` (else of the held-out data's), and a proposed `disagreement_limit`.
    """
    held_out.require(what="held-out data")
    layout = spec.state
    windows = held_out.windows(horizon)
    if not len(windows):
        raise DatasetError(f"no {horizon} transitions follow each other in the held-out data")
    windows = windows[np.unique(np.linspace(0, len(windows) - 1, min(most_windows, len(windows))).astype(int))]
    _, scale = robust_scale(layout.difference(held_out.next_state, held_out.state), layout.units)
    model_scale = np.array(spec.delta_scale) if spec.delta_scale else scale

    one_step = _rollout(predict, held_out, np.arange(len(held_out))[:, None], spec.ensemble_size)
    last = _rollout(predict, held_out, windows, spec.ensemble_size)
    truth, end = held_out.next_state, held_out.next_state[windows[:, -1]]
    errors = {
        "one_step": layout.difference(one_step, truth),
        "stay_one_step": layout.difference(held_out.state, truth)[None],
        "horizon": layout.difference(last, end),
        "stay_horizon": layout.difference(held_out.state[windows[:, 0]], end)[None],
    }
    metrics = {f"{name}_nrmse": _rms(error / scale) for name, error in errors.items()}
    for name, error in errors.items():
        for group, entries in groups(layout, spec.action_names).items():
            metrics[f"{name}_rmse.{group}"] = _rms(error[..., entries])
    apart = disagreement(one_step, model_scale)
    for text, quantile in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        metrics[f"disagreement_{text}"] = float(np.quantile(apart, quantile))
    metrics["horizon_disagreement_p999"] = float(np.quantile(disagreement(last, model_scale), 0.999))
    metrics["disagreement_limit"] = DISAGREEMENT_MARGIN * metrics["disagreement_p999"]
    metrics["held_out_transitions"] = float(len(held_out))
    metrics["held_out_windows"] = float(len(windows))
    return metrics


def longest_horizon(held_out: TransitionSet) -> int:
    """HORIZON, or as many steps of it as the held-out episodes have in a row."""
    for steps in range(HORIZON, 1, -1):
        if len(held_out.windows(steps)):
            return steps
    return 1


def groups(layout: VectorSpec, joints: tuple[str, ...]) -> dict[str, Index]:
    """State entries that are reported together: `joints.<quantity>`, and `<source>.<quantity>` of everything else."""
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
