# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Segments as a Minari dataset, written by the minari package itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import missing_extra
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import parquet_files
from mbrl_controller.episodes.export_writer import ExportOptions, ExportReport, SegmentWriter
from mbrl_controller.episodes.segments import Segment


class MinariWriter(SegmentWriter):
    """A folder of Minari datasets (what MINARI_DATASETS_PATH names) that holds one, `<task>/<robot>-v0`.

    An observation is the state, and the goal after it unless it is done without goals; then rewards are NaN. An episode
    terminates with a drop, and is truncated otherwise.
    """

    def __init__(self, folder: Path, contract: RobotContract, options: ExportOptions) -> None:
        self._minari, self._storages, self._spaces, self._buffer = _load()
        self._folder, self._contract = folder, contract
        self._instruction, self._goals = options.instruction, options.goals
        self.name = f"{_word(contract.task.name)}/{_word(contract.file.robot)}-v0"
        self._storage = self._create(folder / self.name / "data")

    def add(self, segment: Segment) -> None:
        parts = [segment.states, segment.goals] if self._goals else [segment.states]
        last = np.arange(len(segment)) == len(segment) - 1
        self._storage.update_episodes([
            self._buffer(
                observations=np.concatenate(parts, axis=1).astype(np.float32),
                actions=segment.actions.astype(np.float32),
                rewards=segment.rewards,
                terminations=last & segment.dropped,
                truncations=last & ~segment.dropped,
                infos={"stamp_ns": segment.stamps[:, None]},
            )
        ])  # fmt: skip

    def close(self, report: ExportReport) -> list[str]:
        action = self._contract.action
        self._storage.update_metadata({
            "dataset_id": self.name,
            "minari_version": self._minari.__version__,
            "algorithm_name": "mbrl_controller",
            "description": f"{self._instruction}: {report.frames} control periods of {action.period:g} s on "
            f"{self._contract.file.robot}, in {report.segments} segments without gaps",
            "observation_names": self._names(),
            "action_names": list(action.names),
            "control_period_s": action.period,
            "left_out": dict(report.left_out),
            "bridged": report.bridged,
        })  # fmt: skip
        return [f"load it with MINARI_DATASETS_PATH={report.folder} and minari.load_dataset('{self.name}')"]

    def abandon(self) -> None:
        """It holds no file open."""

    def _names(self) -> list[str]:
        task = self._contract.task
        return [*task.state.names, *(f"goal {name}" for name in task.goal.names if self._goals)]

    def _create(self, folder: Path) -> Any:
        folder.mkdir(parents=True)
        action, n = self._contract.action, len(self._names())
        return self._storages(
            folder,
            observation_space=self._box([-math.inf] * n, [math.inf] * n),
            action_space=self._box(action.lower.tolist(), action.upper.tolist()),
            data_format="arrow",
        )

    def _box(self, low: list[float], high: list[float]) -> Any:
        """A space of float32, which minari makes of its own text for it."""
        return self._spaces({"type": "Box", "dtype": "float32", "shape": [len(low)], "low": low, "high": high})


def _load() -> tuple[Any, Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """minari, and what makes a storage, a space and an episode; raises MbrlError saying how to install it."""
    try:
        import minari
        import PIL  # noqa: F401 (its storage asks for pyarrow and this)
        from minari.data_collector.episode_buffer import EpisodeBuffer
        from minari.dataset.minari_storage import MinariStorage
        from minari.serialization import deserialize_space
    except ModuleNotFoundError as error:
        raise MbrlError(missing_extra(error) or str(error)) from error
    parquet_files.load()
    return minari, MinariStorage.new, deserialize_space, EpisodeBuffer


def _word(name: str) -> str:
    """A name as Minari allows it."""
    return re.sub(r"[^\w-]+", "_", name)
