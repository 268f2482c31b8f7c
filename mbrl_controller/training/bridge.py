# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What bridges gaps of the sensors in a log: a version's model of dynamics, or its model of kind `between`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.bridging import Bridge
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.models.head_loading import load_window
from mbrl_controller.models.loading import load_model
from mbrl_controller.models.onnx_window import OnnxWindow
from mbrl_controller.models.registry import Registry
from mbrl_controller.tasks.spaces import Array, VectorSpec

BridgedBy = Literal["dynamics", "between"]
STEPS = 5  # of a window that the dynamics bridge


class Predicts(Protocol):
    """A model of dynamics; `LoadedModel` is one."""

    def predict(self, state: Array, action: Array) -> NDArray[np.float32]:
        """Next states [E, N, S] of states [N, S] or [E, N, S] under joint targets [N, A]."""
        ...


def predicted(model: Predicts, first: Array, actions: Array) -> Array:
    """States [N, n+1, S] that the mean of the members predicts from `first` [N, S] on, under commands [N, n, A]."""
    states = [np.asarray(first, dtype=float)]
    members: Array = states[0]
    for step in range(actions.shape[1]):
        members = model.predict(members, actions[:, step])
        states.append(np.asarray(members, dtype=float).mean(0))
    return np.stack(states, 1)


def predicted_to(model: Predicts, layout: VectorSpec, first: Array, last: Array, actions: Array) -> Array:
    """The same, less what the prediction misses `last` [N, S] by, which is spread evenly along the way."""
    states, n = predicted(model, first, actions), actions.shape[1]
    missed = layout.difference(last, states[:, n])
    return np.asarray(states + (np.arange(n + 1)[:, None] / n) * missed[:, None])


class DynamicsBridge:
    """Bridges by prediction from the first state, pulled to the last; a `Bridge`."""

    def __init__(self, model: Predicts, layout: VectorSpec, steps: int = STEPS) -> None:
        self.steps = steps
        self._model, self._layout = model, layout

    def between(self, first: Array, last: Array, actions: Array) -> Array:
        """States [N, n-1, S] of windows from states [N, S] to states [N, S] under joint targets [N, n, A] (rad)."""
        return predicted_to(self._model, self._layout, first, last, actions)[:, 1:-1]


def find_bridge(
    version: str,
    by: BridgedBy,
    files: Sequence[Path],
    contract: RobotContract | None = None,
    models_dir: Path | None = None,
) -> tuple[RobotContract, Bridge]:
    """The contract of a log, and what bridges its gaps.

    Args:
        version: its name, or `current`.
        by: which of its models.
        files: episodes.
        contract: of the robot; None: that of the first file.
        models_dir: folder of the registry.

    Raises:
        MbrlError: there is no such version, it has no such model, or the model is for another robot or task.
    """
    if contract is None:
        if not files:
            raise EpisodeError("no episode files")
        contract = read_episode(files[0]).contract
    task, action = contract.task, contract.action
    found = Registry(models_dir).resolve(task.name, version, contract.file.robot)
    if by == "dynamics":
        return contract, DynamicsBridge(load_model(found, "fp32", task=task, action=action), task.state)
    model = load_window(found, "between", task=task, action=action)
    assert isinstance(model, OnnxWindow)
    return contract, model
