# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""State of a training run, and its checkpoint file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.weights import load_arrays, save_arrays

_OLD_NAMES = {"since_better": "epochs_without_improvement", "held_out_loss": "validation_loss"}  # in old checkpoints


@dataclass(frozen=True)
class EpochReport:
    """Losses after one epoch: mean squared errors in units of the scale (1 = predicting the mean change)."""

    stage: str  # "one-step" or "<k>-step"
    epoch: int  # from 1; 0: at the start of the stage
    train_loss: float | None  # None at epoch 0
    validation_loss: tuple[float, ...]  # per member
    best_loss: tuple[float, ...]  # per member, of this stage


@dataclass
class Progress:
    """What a resumed run needs besides the weights; random streams follow from (seed, stage, epoch)."""

    stage: int = 0
    epoch: int = 0
    best_loss: list[float] = field(default_factory=list)
    best_epoch: list[int] = field(default_factory=list)
    epochs_without_improvement: int = 0
    history: list[EpochReport] = field(default_factory=list)
    done: bool = False


class TrainingState:
    """Weights, each member's best weights, and progress."""

    def __init__(self, model: DynamicsEnsemble) -> None:
        self.model = model
        self.best: dict[str, Tensor] = {name: value.detach().clone() for name, value in model.named_parameters()}
        self.progress = Progress()

    @torch.no_grad()
    def load_best(self) -> None:
        """Copy the best weights into the model."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(self.best[name])

    @torch.no_grad()
    def keep_best(self, loss: tuple[float, ...]) -> None:
        """Keep the weights of the members whose validation loss improved."""
        progress = self.progress
        better = [e for e, value in enumerate(loss) if value < progress.best_loss[e]]
        for e in better:
            progress.best_loss[e], progress.best_epoch[e] = loss[e], progress.epoch
            for name, parameter in self.model.named_parameters():
                self.best[name][e] = parameter[e]
        progress.epochs_without_improvement = 0 if better else progress.epochs_without_improvement + 1

    def save(self, path: Path, identity: str, optimiser: torch.optim.Optimizer | None) -> None:
        """Write a checkpoint; without `optimiser` between two stages."""
        arrays: dict[str, Tensor] = {f"model.{name}": value for name, value in self.model.named_parameters()}
        arrays |= {f"best.{name}": value for name, value in self.best.items()}
        if optimiser is not None:
            for i, moments in optimiser.state_dict()["state"].items():
                arrays |= {f"adam.{i}.{name}": value for name, value in moments.items()}
        save_arrays(path, arrays, {"identity": identity, **asdict(self.progress)})

    def restore(self, path: Path, identity: str) -> dict[str, Tensor] | None:
        """Load a checkpoint if it exists; returns the optimiser's moments, None at the start of a stage.

        Raises DatasetError for the checkpoint of a run with another `identity`.
        """
        if not path.exists():
            return None
        arrays, note = load_arrays(path)
        if note.pop("identity", None) != identity:
            raise DatasetError(
                f"checkpoint {path} belongs to another run (other data, options or initial weights): "
                "remove it or choose another file"
            )
        history = [
            EpochReport(r["stage"], r["epoch"], r["train_loss"], tuple(r["validation_loss"]), tuple(r["best_loss"]))
            for r in map(_renamed, note.pop("history"))
        ]
        self.progress = Progress(**_renamed(note), history=history)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(arrays[f"model.{name}"])
                self.best[name].copy_(arrays[f"best.{name}"])
        moments = {name.removeprefix("adam."): value for name, value in arrays.items() if name.startswith("adam.")}
        return moments or None


def restore_optimiser(optimiser: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Load the moments that `TrainingState.restore` returned."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in moments.items():
        index, quantity = name.split(".")
        state.setdefault(int(index), {})[quantity] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _renamed(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {_OLD_NAMES.get(name, name): value for name, value in entries.items()}
