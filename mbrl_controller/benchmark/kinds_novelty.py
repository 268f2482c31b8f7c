# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which novelty measure foresees that an object is lost: density of steps, or disagreement of the ensemble?"""

from __future__ import annotations

import numpy as np

from mbrl_controller.dynamics.data import Index, TransitionSet
from mbrl_controller.models.disagreement import disagreement
from mbrl_controller.models.loading import LoadedModel
from mbrl_controller.models.onnx_density import OnnxDensity
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import Array, Mask

AHEAD = (1, 3, 5)  # control periods within which the object is at risk


def compare_novelty(
    density: OnnxDensity, model: LoadedModel, held_out: TransitionSet, task: Task
) -> dict[tuple[str, str], float]:
    """Area under the ROC curve of foreseeing, from a state at no risk and the command, that the object is at risk
    within k periods.

    Ways: `disagreement` about the next state; `density` of the predicted step, with the sign of novelty; `density of
    the last step`, which has happened; `prediction's error` in that step; `predicted risk`: share of the members of
    which the next state is at risk. Also the `mean log density`, a window, alone where no object is ever lost.
    """
    rows = held_out.windows(2)
    before, now = rows[:, 0], rows[:, 1]
    safe = ~np.asarray(task.at_risk(held_out.state[now]))
    before, now = before[safe], now[safe]
    state, action = held_out.state, held_out.action
    members = model.predict(state[now], action[now])
    scale = np.asarray(model.delta_scale)
    earlier = model.predict(state[before], action[before]).mean(0)
    missed = task.state.difference(earlier, state[now]) / scale
    scores = {
        "disagreement": disagreement(np.asarray(members), scale),
        "density": -density.log_density(state[now], members.mean(0), action[now][:, None]),
        "density of the last step": -density.log_density(state[before], state[now], action[before][:, None]),
        "prediction's error": np.sqrt(np.mean(missed**2, axis=1)),
        "predicted risk": np.mean(np.asarray(task.at_risk(np.asarray(members))), axis=0),
    }
    found = {}
    for ahead in AHEAD:
        lost, known = lost_within(held_out, task, now, ahead)
        for way, score in scores.items():
            value = auc(score[known], lost[known])
            if np.isfinite(value):
                found[f"lost within {ahead}, AUC", way] = value
        if lost.any():
            figure = f"lost within {ahead}, AUC"
            found[figure, "density less disagreement"] = found[figure, "density"] - found[figure, "disagreement"]
            found[f"lost within {ahead}, AUC", "share of states"] = float(lost[known].mean())
    return found | {("mean log density", "model"): -float(scores["density of the last step"].mean())}


def lost_within(data: TransitionSet, task: Task, rows: Index, ahead: int) -> tuple[Mask, Mask]:
    """Whether the object is at risk within `ahead` periods after the begin of `rows` [N], and whether that is known: an
    episode may end before."""
    after = np.asarray(task.at_risk(data.next_state))
    lost, known = np.zeros(len(rows), dtype=bool), np.ones(len(rows), dtype=bool)
    for step in range(ahead):
        later = np.minimum(rows + step, len(data) - 1)
        same = (data.episode[later] == data.episode[rows]) & (data.step[later] - data.step[rows] == step)
        known &= same | lost
        lost |= same & after[later] & known
    return lost, known


def auc(score: Array, positive: Mask) -> float:
    """Area under the ROC curve: how often a positive row's score is above a negative one's, equal ones half; NaN
    without rows of both."""
    high, low = np.asarray(score)[positive], np.sort(np.asarray(score)[~positive])
    if not len(high) or not len(low):
        return float("nan")
    below, not_above = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float(np.mean(below + not_above) / (2 * len(low)))
