# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Short stretches of a log, each simulated from its measured state: multiple shooting.

Errors of a contact grow too fast for whole episodes. So the simulation begins again at the measured state every few
control periods, and only what happens in between is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.dynamics.data import TransitionSet, change_scale
from mbrl_controller.simulation.many_worlds import ManyWorlds
from mbrl_controller.simulation.measured_start import MeasuredStart
from mbrl_controller.simulation.physical_parameters import LATENCY, FittedModels
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.tasks.spaces import Array

ROWS_AT_ONCE = 4096
LOST = 10.0  # error of a simulation that diverged, in units of one step's change


@dataclass(frozen=True)
class Windows:
    """W stretches of H control periods, and the period before each."""

    before: Array  # [W, S] states one period before the start
    state: Array  # [W, S] at the start
    command_before: Array  # [W, A] rad, in force until the first command acts
    action: Array  # [W, H, A] rad
    measured: Array  # [W, H, S] after each command
    episode: Array  # [W]

    def __len__(self) -> int:
        return len(self.state)


def cut_windows(data: TransitionSet, length: int, most: int) -> Windows:
    """Stretches of `length` periods that do not overlap, spread evenly over the data; raises DatasetError if none fits.

    `most`: control periods in all of them.
    """
    found = data.windows(length + 1)
    kept, last = [], -1
    for number, first in enumerate(found[:, 0]):
        if first > last:  # the period before a stretch may be the last one of another
            kept.append(number)
            last = first + length - 1
    if not kept:
        raise DatasetError(f"no episode has {length + 1} consecutive transitions: shorten the window (--set window=1)")
    count = max(most // length, 1)
    chosen = np.array(kept)[np.unique(np.linspace(0, len(kept) - 1, min(count, len(kept))).astype(int))]
    rows = found[chosen]
    return Windows(
        before=data.state[rows[:, 0]],
        state=data.state[rows[:, 1]],
        command_before=data.action[rows[:, 0]],
        action=data.action[rows[:, 1:]],
        measured=data.next_state[rows[:, 1:]],
        episode=data.episode[rows[:, 0]],
    )


class WindowErrors:
    """Errors of simulated windows, in units of one step's change in the data."""

    def __init__(self, scene: Scene, contract: RobotContract, data: TransitionSet, threads: int = 1) -> None:
        self.layout = contract.task.state
        self.worlds = ManyWorlds(scene, contract.action, threads)
        self.start = MeasuredStart(scene, contract, self.worlds)
        self.scale = change_scale(self.layout, [(data.state, data.next_state)])[1]  # [S]
        self._models = FittedModels(scene)

    def of(self, windows: Windows, candidates: Sequence[Mapping[str, float]]) -> Array:
        """[C, W, H, S] for each of C sets of parameters; raises MbrlError for one that cannot be set."""
        models = [self._models.model(values) for values in candidates]
        latency = np.array([values.get(LATENCY, 0.0) for values in candidates])
        count, horizon = windows.action.shape[:2]
        start = self.start.physics(windows.state, windows.before)
        errors = np.empty((len(models) * count, horizon, len(self.layout)))
        model_of, window_of = np.divmod(np.arange(len(errors)), count)
        for begin in range(0, len(errors), ROWS_AT_ONCE):
            rows = slice(begin, begin + ROWS_AT_ONCE)
            window, physics = window_of[rows], start[window_of[rows]]
            own = [models[i] for i in model_of[rows]]
            before = windows.command_before[window]
            for step in range(horizon):
                target = windows.action[window, step]
                physics, states = self.worlds.step(
                    own, physics, target, self.start.ctrl, before, latency[model_of[rows]]
                )
                errors[rows, step] = self.layout.difference(states, windows.measured[window, step]) / self.scale
                before = target
        errors = np.where(np.isfinite(errors), np.clip(errors, -1e3, 1e3), LOST)
        return errors.reshape(len(models), count, horizon, -1)
