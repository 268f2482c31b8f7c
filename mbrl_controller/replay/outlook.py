# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A plan against what then happened: commands, states, and what the ensemble that made it had expected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.models.loading import LoadedModel, load_model
from mbrl_controller.models.registry import Registry
from mbrl_controller.replay.recording import Recording
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import Array, parse_entry


@dataclass(frozen=True)
class Outlook:
    """One plan of H steps. Rows after the episode's end are NaN.

    Attributes:
        begin: s, when the first action takes effect.
        targets: planned [H, A] rad.
        commanded: what was sent instead [H, A] rad.
        happened: states [H + 1, S], from `begin` on, a control period apart.
        predicted: by each ensemble member [E, H + 1, S] from the state at `begin`; None: see `problem`.
        problem: why there is no prediction; empty if there is.
    """

    begin: float
    targets: Array
    commanded: Array
    happened: Array
    predicted: Array | None
    problem: str = ""

    @property
    def command_gap(self) -> float:
        """RMS (rad) between the plan and the commands; NaN where none followed."""
        gaps = self.targets - self.commanded
        return _rms(gaps)

    def object_gaps(self, task: Task) -> dict[str, tuple[float, str]]:
        """RMS and unit between where members expect what the hand moves (objects, a valve) and where it was, by name.

        NaN: nothing is known of what happened. Empty without a prediction.
        """
        if self.predicted is None:
            return {}
        moved: dict[str, list[int]] = {}
        for i, entry in enumerate(map(parse_entry, task.state.names)):
            if entry.quantity == "position" and entry.owner not in task.joints:
                moved.setdefault(entry.owner, []).append(i)
        apart = task.state.difference(self.predicted[:, 1:], self.happened[None, 1:])
        return {
            name: (_rms(np.linalg.norm(apart[..., own], axis=-1)), task.state.units[own[0]])
            for name, own in moved.items()
        }


class Outlooks:
    """The outlooks of recordings; the models that planned are taken from the registry when they are needed."""

    def __init__(self, models_dir: Path | None = None) -> None:
        """`models_dir`: the registry's; None: the usual one."""
        self._registry = Registry(models_dir)
        self._models: dict[tuple[str, str, str], LoadedModel | str] = {}  # or why there is none

    def of(self, recording: Recording, number: int) -> Outlook:
        """Of the plan `number` in `recording.plans`."""
        plan = recording.plans[number]
        H = len(plan.targets)
        steps = plan.begin + recording.period * np.arange(H + 1)
        happened = recording.states_at(steps)
        commanded = recording.commands_at(steps[:H] - recording.lead)
        predicted, problem = self._predict(recording, happened[0], plan.targets)
        return Outlook(plan.begin, plan.targets, commanded, happened, predicted, problem)

    def _predict(self, recording: Recording, state: Array, targets: Array) -> tuple[Array | None, str]:
        model = self._model(recording)
        if isinstance(model, str):
            return None, model
        if not np.isfinite(state).all():
            return None, "the state from which the plan begins was not measured"
        try:
            rolled = model.rollout(state, targets[None])[:, 0]
        except MbrlError as error:
            return None, str(error)
        start = np.broadcast_to(state, (len(rolled), 1, len(state)))
        return np.concatenate([start, rolled], axis=1), ""

    def _model(self, recording: Recording) -> LoadedModel | str:
        contract, version = recording.contract, recording.info.model_version
        if not version:
            return "the log names no model"
        key = contract.task.name, version, contract.file.robot
        if key not in self._models:
            try:
                found = self._registry.resolve(*key)
                self._models[key] = load_model(found, task=contract.task, action=contract.action, heads=False)
            except (MbrlError, OSError) as error:  # a version of another machine, or a planner without a model
                self._models[key] = str(error)
        return self._models[key]


def _rms(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(np.square(finite)))) if finite.size else float("nan")
