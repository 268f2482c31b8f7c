# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Peak memory of training on many transitions: those of a log, repeated under other names; a few batches of a stage.

    python benchmarks/scale/training_memory.py FOLDER --task valve --transitions 1000000 --stage one-step

FOLDER: a log, such as `mbrl benchmark data` leaves. The peak is that of this process, mapped files included.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from pathlib import Path

from mbrl_controller.base.cache_folder import cache_dir
from mbrl_controller.base.columns import ColumnBuilder, frozen
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.trainer import EnsembleTrainer, TrainCallbacks
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.training.dataset import episode_files, load_dataset

BATCHES = 50
STAGES = {"one-step": {"max_epochs": 1, "horizon": 1}, "several-step": {"max_epochs": 0, "horizon_epochs": 1}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default="valve")
    parser.add_argument("--transitions", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=2500, help="of the log, that are read")
    parser.add_argument("--stage", choices=list(STAGES), default="one-step")
    given = parser.parse_args()
    contract = contract_for(given.task)
    log = load_dataset(episode_files([given.folder])[: given.files], contract, cache=cache_dir()).data
    report("read")
    sides = repeated(log, max(given.transitions // len(log), 1)).split_by_episode(0.1)
    report(f"split, {len(sides[0])} and {len(sides[1])} transitions")
    config = TrainConfig.model_validate({"hidden": [32, 32], "ensemble_size": 2, **STAGES[given.stage]})
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, config.ensemble_size, config.hidden)
    asked = itertools.count()
    stop = TrainCallbacks(should_stop=lambda: next(asked) >= BATCHES)
    EnsembleTrainer(spec, config, tuple(contract.task.symmetries), threads=1, callbacks=stop).fit(*sides)
    report(f"{BATCHES} batches, {given.stage}, {1 + len(contract.task.symmetries)} images")


def repeated(log: TransitionSet, times: int) -> TransitionSet:
    """The rows of `log` so many times, each time as other episodes."""
    columns = {name: ColumnBuilder() for name in ("state", "action", "next_state", "episode", "step")}
    for again in range(times):
        for name, column in columns.items():
            column.append(getattr(log, name) + (again * len(log.episode_keys) if name == "episode" else 0))
    keys = tuple(f"{key}+{again}" for again in range(times) for key in log.episode_keys)
    return TransitionSet(**{name: frozen(column.build()) for name, column in columns.items()}, episode_keys=keys)


def report(what: str) -> None:
    """Print the peak until now."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{peak:7.0f} MiB {time.process_time():7.1f} CPU s  {what}", flush=True)


if __name__ == "__main__":
    main()
