# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How wide must differences through a model be? What a linear model leaves unexplained, by width and precision.

    python benchmarks/linearisation.py valve

For states and actions of one episode: the fp32 model's answer to random displacements against Jacobians by differences
through either file; the residual over the answer, root mean squares in units of one step's change. docs/planning.md has
the table.
"""

from __future__ import annotations

import sys

import numpy as np

from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.planning.finite_differences import jacobians
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeRunner

WIDTHS = ((0.001, 0.001), (0.01, 0.01), (0.1, 0.05), (0.5, 0.2), (1.0, 0.2))  # of states, of normalised actions
STATE_MOVES, ACTION_MOVES, MOVES = 0.5, 0.15, 64  # standard deviations of the displacements, and how many
STEPS = slice(5, 35, 3)  # of the episode


def main(task: str) -> None:
    resolved = resolve(RolloutConfig(task))
    episode, action = EpisodeRunner(resolved.spec).run(1000), resolved.contract.action
    assert resolved.spec.model is not None
    folder = resolved.spec.model.parent
    files = {"fp32": folder / "model.onnx", "int8": folder / "model.int8.onnx"}
    models = {name: OnnxEnsemble.load(file) for name, file in files.items()}
    scale, size = models["fp32"].delta_scale, len(action)
    entries, spec = len(scale), resolved.contract.task.state
    points = np.concatenate([episode.states[STEPS], action.to_normalised(episode.commands)[STEPS]], 1)
    rng = np.random.default_rng(0)
    widths = np.concatenate([STATE_MOVES * scale, np.full(size, ACTION_MOVES)])
    moves = widths * rng.normal(size=(len(points), MOVES, entries + size))

    def mean(model: OnnxEnsemble, at: np.ndarray) -> np.ndarray:
        return model.predict(at[:, :entries], action.to_target(at[:, entries:])).mean(0).astype(float)

    moved = mean(models["fp32"], (points[:, None] + moves).reshape(-1, entries + size)).reshape(*moves.shape[:2], -1)
    answer = spec.difference(moved, mean(models["fp32"], points)[:, None]) / scale
    for state_width, action_width in WIDTHS:
        steps = np.concatenate([state_width * scale, np.full(size, action_width)])
        row = [f"{state_width:g}, {action_width:g}"]
        for name, model in models.items():
            slopes = jacobians(lambda at, model=model: mean(model, at), points, steps, spec.difference)
            left = answer - np.einsum("hsd,hmd->hms", slopes, moves) / scale
            row.append(f"{name} {np.sqrt((left**2).mean() / (answer**2).mean()):.2f}")
        print("  ".join(row))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "valve")
