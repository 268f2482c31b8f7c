# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Asked states against what is known without their model: staying, a straight line, the dynamics' prediction."""

from __future__ import annotations

import numpy as np

from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.window_data import WindowData
from mbrl_controller.models.loading import LoadedModel
from mbrl_controller.models.onnx_window import OnnxWindow
from mbrl_controller.tasks.base import Task
from mbrl_controller.training.bridge import predicted, predicted_to


def compare_between(
    head: OnnxWindow, model: LoadedModel, held_out: TransitionSet, task: Task
) -> dict[tuple[str, str], float]:
    """Root mean square error, and its median over windows, of each way, in deviations of one step's change.

    `measure`: all entries, or those that no joint has. Ways: the `model` of windows; `reference`, its straight line or
    staying; `prediction` by the dynamics from the first state, under the commands, or with the joints' targets where
    they are if the kind does not know commands; `prediction to the end`, less its error at the last state, which is
    spread along the way; `deviation`: rms of errors in the deviations that the model answers with, 1 if they are right.
    """
    kind, n, layout = head.kind, head.spec.horizon, head.spec.state
    data = WindowData.of(held_out, head.spec.kind, n)  # type: ignore[arg-type]
    at = list(kind.asked_states(n))
    true, last = data.states[:, at], data.last if "last" in kind.given else None
    commands = data.actions
    if "actions" not in kind.given:
        joints = layout.indices([f"{name}.position" for name in head.spec.action_names])
        commands = np.repeat(data.first[:, None, joints], n, axis=1)
    answer = head.answer(data.first, last, data.actions if "actions" in kind.given else None)
    ways = {
        "model": answer.expected,
        "reference": kind.reference(layout, data.first, last, n),
        "prediction": predicted(model, data.first, commands)[:, at],
    }
    if last is not None:
        ways["prediction to the end"] = predicted_to(model, layout, data.first, last, commands)[:, at]
    scale = np.asarray(model.delta_scale)
    owned = {f"{name}.{quantity}" for name in head.spec.action_names for quantity in ("position", "velocity", "effort")}
    objects = np.array([name not in owned for name in layout.names])
    found = {}
    for way, states in ways.items():
        error = layout.difference(states, true)
        for measure, entries in (("all", slice(None)), ("object", objects)):
            part = (error / scale)[..., entries]
            found[f"{measure}, rms", way] = float(np.sqrt(np.mean(part**2)))
            found[f"{measure}, median", way] = float(np.median(np.sqrt(np.mean(part**2, axis=(1, 2)))))
    within = layout.difference(answer.expected, true) / answer.spread
    found["object, rms", "deviation"] = float(np.sqrt(np.mean(within[..., objects] ** 2)))
    return found
