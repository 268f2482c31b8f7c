# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Commands that lead from state to state, against the joints' own way."""

from __future__ import annotations

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.window_data import WindowData
from mbrl_controller.models.onnx_window import OnnxWindow


def compare_inverse(
    head: OnnxWindow, train: TransitionSet, held_out: TransitionSet, contract: RobotContract
) -> dict[tuple[str, str], float]:
    """Root mean square error (rad) of the commands.

    Ways: the `model`'s mean, its `likeliest` component and the `nearest` of them; `joints`: the joints' positions, on
    the straight way from the first state to the last, as commands; `mean` of the commands learnt from.
    """
    n, layout = head.spec.horizon, head.spec.state
    data = WindowData.of(held_out, head.spec.kind, n)  # type: ignore[arg-type]
    answer = head.answer(data.first, data.last)
    joints = layout.indices([f"{name}.position" for name in contract.action.names])
    share = (np.arange(n)[:, None] + 1) / n
    way = data.first[:, None, joints] + share * (data.last - data.first)[:, None, joints]
    nearest = np.square(answer.mean - data.actions[:, None]).mean((2, 3)).min(1)
    errors = {
        "model": answer.expected - data.actions,
        "likeliest": answer.likeliest(1)[:, 0] - data.actions,
        "joints": way - data.actions,
        "mean": train.action.mean(0) - data.actions,
    }
    found = {("command, rad", name): float(np.sqrt(np.mean(error**2))) for name, error in errors.items()}
    return found | {("command, rad", "nearest"): float(np.sqrt(nearest.mean()))}
