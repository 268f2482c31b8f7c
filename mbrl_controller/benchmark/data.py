# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What reading a log for training costs: the first time, again, and in memory, for logs of several sizes."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mbrl_controller.base.cache_folder import cache_dir
from mbrl_controller.base.errors import DatasetError, MbrlError
from mbrl_controller.base.files import write_json
from mbrl_controller.benchmark.subprocess_run import run_in_subprocess
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.mcap_scan import McapScan, Message
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.episodes.writer import PART, EpisodeWriter
from mbrl_controller.training.dataset import episode_files, load_dataset

BASE_EPISODES = 20  # simulated; all others are copies under other names
PER_SESSION = 1000  # episodes in a folder
TRAINED = {"max_epochs": 1, "horizon_epochs": 1, "hidden": [32, 32], "ensemble_size": 2}
MIB, GB = 2**20, 1e9


@dataclass(frozen=True)
class DataSettings:
    """What is measured."""

    task: str
    transitions: tuple[int, ...]  # sizes of the logs, each the beginning of the next
    folder: Path  # of the copies, which stay there for another run
    processes: int = 1
    train: bool = False  # also an epoch of each stage of a small network, for its memory
    contract: Path | None = None


def run(
    settings: DataSettings,
    json_file: Path | None = None,
    on_begin: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Make the logs, and read each twice: what is new is decoded, then all is in the cache.

    Raises:
        MbrlError: nothing can be written, or the cache is off.
    """
    if cache_dir() is None:
        raise MbrlError("MBRL_CACHE=off: there is no cache to measure")
    sizes = sorted(settings.transitions)
    on_begin(f"writing {sizes[-1]:,} transitions below {settings.folder}")
    files = list(enlarge(settings, sizes[-1]))
    rows: list[dict[str, Any]] = []
    for size in sizes:
        some = [str(path) for path, total in files if total <= size] or [str(files[0][0])]
        for what in ("first", "again"):
            on_begin(f"reading {size:,} transitions, {what}")
            contract = None if settings.contract is None else str(settings.contract)
            train = settings.train and what == "again"
            measured = run_in_subprocess(measure, settings.task, some, settings.processes, train, contract)
            rows.append({"log": size, "read": what, **measured})
            if json_file is not None:
                write_json(json_file, {"settings": _plain(settings), "rows": rows})
    return {"settings": _plain(settings), "rows": rows}


def measure(task: str, files: list[str], processes: int, train: bool, contract_file: str | None) -> dict[str, Any]:
    """Read files as a retrain does, in this process; peak memory is this process's, with what it maps."""
    contract = contract_for(task, None if contract_file is None else Path(contract_file))
    paths = [Path(name) for name in files]
    begun, used = time.perf_counter(), time.process_time()
    for path in paths:
        read_info(path)  # as the plan of a retrain does, for the worlds
    data = load_dataset(paths, contract, processes=processes, cache=cache_dir()).data
    found = {
        "transitions": len(data),
        "episodes": len(paths),
        "GB": sum(path.stat().st_size for path in paths) / GB,
        "read_s": time.perf_counter() - begun,
        "cpu_s": time.process_time() - used,
    }
    if train:
        found["epochs_s"] = _train(task, data, contract)
    return found | {"peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB}


def _train(task: str, data: Any, contract: Any) -> float:
    from mbrl_controller.dynamics.train_config import TrainConfig
    from mbrl_controller.dynamics.trainer import EnsembleTrainer
    from mbrl_controller.models.spec import ModelSpec

    config = TrainConfig.model_validate(TRAINED)
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, config.ensemble_size, config.hidden)
    begun = time.perf_counter()
    sides = data.split_by_episode(config.holdout_fraction)
    EnsembleTrainer(spec, config, tuple(contract.task.symmetries), threads=1).fit(*sides)
    return time.perf_counter() - begun


def enlarge(settings: DataSettings, transitions: int) -> Iterator[tuple[Path, int]]:
    """Episode files with at least so many transitions in all, and how many there are up to each.

    They are copies of a few simulated episodes, each under a session and number of its own: other bytes, and another
    recording to all that reads them. Those that are there already are not written again.
    """
    base = _base_episodes(settings)
    contract = contract_for(settings.task, settings.contract)
    lengths = [len(load_dataset([path], contract).data) for path in base]
    total, number = 0, 0
    while total < transitions:
        which = number % len(base)
        total += lengths[which]
        folder = settings.folder / f"copies-{number // PER_SESSION:04d}"
        path = folder / f"episode_{number % PER_SESSION:04d}.mcap"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _copy(base[which], path, contract, number)
        yield path, total
        number += 1


def _base_episodes(settings: DataSettings) -> list[Path]:
    from mbrl_controller.rollouts import collect
    from mbrl_controller.rollouts.config import RolloutConfig

    config = RolloutConfig(settings.task, policy="random", contract=settings.contract)
    root = settings.folder / "base"
    done = collect.run(config, episodes=BASE_EPISODES, episodes_dir=root, session="base", processes=1)
    found = []
    for path in episode_files([done.folder]):
        try:
            load_dataset([path], contract_for(settings.task, settings.contract))
        except DatasetError:
            continue  # it ended at once
        found.append(path)
    if not found:
        raise MbrlError(f"{done.folder}: no episode of random motion has a transition")
    return found


def _copy(source: Path, target: Path, contract: Any, number: int) -> None:
    info = replace(read_info(source), session=target.parent.name, episode=number % PER_SESSION)
    target.with_name(target.name + PART).unlink(missing_ok=True)  # of a run that was killed
    writer = EpisodeWriter(target, contract, info, flush_s=1e9, fsync=False)
    try:
        for record in McapScan().records(source):
            if isinstance(record, Message):
                topic = record.channel
                writer.write_raw(topic.topic, topic.type_name, record.data, record.log_time, record.publish_time)
        writer.close("timeout")
    except BaseException:
        writer.discard()
        raise


def _plain(settings: DataSettings) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(settings).items()}
