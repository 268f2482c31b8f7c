# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Segments as a LeRobotDataset of format v3.0, which LeRobot trains on without a conversion.

Layout as in LeRobot's own src/lerobot/datasets. A frame is a control period: the state at its begin, the command,
and, unless it is done without goals, the goal as `observation.environment_state`, which ACT and Diffusion read beside
the state, and the period's reward.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import parquet_files
from mbrl_controller.episodes.export_writer import ExportOptions, ExportReport, SegmentWriter
from mbrl_controller.episodes.feature_stats import FeatureStats, episode_stats
from mbrl_controller.episodes.segments import Segment
from mbrl_controller.tasks.spaces import Array

VERSION = "v3.0"
CHUNK_FILES = 1000  # files in a folder
FILE_MB = 100  # of data, after which a new file begins
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
STATE, GOAL, ACTION = "observation.state", "observation.environment_state", "action"
REWARD, DONE, TRUNCATED = "next.reward", "next.done", "next.truncated"
STAMP = "recorded_time"  # s since the recording's first command, by its stamps
# What LeRobot adds to each frame itself.
INDICES = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64",
           "task_index": "int64"}  # fmt: skip


class LeRobotWriter(SegmentWriter):
    """meta/ and data/ of a LeRobotDataset; one segment is one of its episodes."""

    file_mb = FILE_MB
    chunk_files = CHUNK_FILES

    def __init__(self, folder: Path, contract: RobotContract, options: ExportOptions) -> None:
        self._arrow, self._parquet = parquet_files.load()
        self._folder, self._contract = folder, contract
        self._instruction, self._goals = options.instruction, options.goals
        self._fps = _whole(1 / contract.action.period)
        self._features = self._all_features()
        self._stats = {key: FeatureStats() for key in self._features}
        self._episodes: list[dict[str, Any]] = []
        self._frames = self._file_number = 0
        self._file: Any = None

    def add(self, segment: Segment) -> None:
        frame = self._frame(segment)
        place = self._write(frame)
        stats = {name: episode_stats(values) for name, values in frame.items()}
        for name, values in frame.items():
            self._stats[name].add(values)
        self._episodes.append({
            "episode_index": len(self._episodes),
            "tasks": [self._instruction],
            "length": len(segment),
            **place,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + len(segment),
            **{f"stats/{name}/{what}": value for name, each in stats.items() for what, value in each.items()},
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            "recording": segment.key,
            "world": segment.episode.info.world,
            "model_version": segment.episode.info.model_version,
        })  # fmt: skip
        self._frames += len(segment)

    def close(self, report: ExportReport) -> list[str]:
        self._file.close()
        meta = self._folder / "meta"
        (self._folder / EPISODES).parent.mkdir(parents=True)
        self._parquet.write_table(self._arrow.Table.from_pylist(self._episodes), self._folder / EPISODES)
        self._parquet.write_table(self._tasks(), meta / "tasks.parquet")
        info = {
            "codebase_version": VERSION,
            "robot_type": self._contract.file.robot,
            "total_episodes": len(self._episodes),
            "total_frames": self._frames,
            "total_tasks": 1,
            "chunks_size": self.chunk_files,
            "data_files_size_in_mb": self.file_mb,
            "video_files_size_in_mb": 200,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": DATA,
            "video_path": None,
            "features": self._features,
        }
        stats = {name: each.result() for name, each in self._stats.items()}
        for name, content in (("info", info), ("stats", stats)):
            (meta / f"{name}.json").write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
        return [f"load it with LeRobotDataset('any/name', root='{report.folder}')"]

    def abandon(self) -> None:
        if self._file is not None:
            self._file.close()

    def _all_features(self) -> dict[str, dict[str, Any]]:
        task = self._contract.task
        names = {STATE: task.state.names, ACTION: self._contract.action.names}
        names |= {GOAL: task.goal.names} if self._goals else {}
        found: dict[str, dict[str, Any]] = {
            key: {"dtype": "float32", "shape": [len(each)], "names": list(each)} for key, each in names.items()
        }
        single = {REWARD: "float32"} if self._goals else {}
        single |= {DONE: "bool", TRUNCATED: "bool", STAMP: "float64"} | INDICES
        return found | {key: {"dtype": kind, "shape": [1], "names": None} for key, kind in single.items()}

    def _frame(self, segment: Segment) -> dict[str, Array]:
        """Each feature's values [T, n], or [T] where n is 1."""
        T, number = len(segment), len(self._episodes)
        steps = np.arange(T)
        values: dict[str, Any] = {
            STATE: segment.states[:-1],
            GOAL: segment.goals[:-1],
            ACTION: segment.actions,
            REWARD: segment.rewards,
            DONE: steps == T - 1,
            TRUNCATED: (steps == T - 1) & ~segment.dropped,
            STAMP: segment.recorded_times[:-1],
            "timestamp": steps * self._contract.action.period,
            "frame_index": steps,
            "episode_index": np.full(T, number),
            "index": self._frames + steps,
            "task_index": np.zeros(T),
        }
        frame = {}
        for key, feature in self._features.items():
            column = np.asarray(values[key], dtype=feature["dtype"])
            frame[key] = column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column
        return frame

    def _write(self, frame: dict[str, Array]) -> dict[str, int]:
        """Append to the current file, or a new one where that is full; returns where it was written."""
        pa = self._arrow
        columns = {}
        for key, values in frame.items():
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            columns[key] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1]) if values.ndim == 2 else flat
        table = pa.table(columns)
        path = self._path()
        if self._file is not None and path.stat().st_size >= self.file_mb * 2**20:
            self._file.close()
            self._file, self._file_number = None, self._file_number + 1
            path = self._path()
        if self._file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._parquet.ParquetWriter(path, table.schema, compression="snappy")
        self._file.write_table(table)  # a row group each, as LeRobot's
        chunk, file = divmod(self._file_number, self.chunk_files)
        return {"data/chunk_index": chunk, "data/file_index": file}

    def _path(self) -> Path:
        chunk, file = divmod(self._file_number, self.chunk_files)
        return self._folder / DATA.format(chunk_index=chunk, file_index=file)

    def _tasks(self) -> Any:
        """task_index, with the task's text as what pandas takes for the index."""
        pa = self._arrow
        about = {
            "index_columns": ["task"],
            "column_indexes": [
                {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
            ],
            "columns": [
                {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_type, "metadata": None}
                for name, kind, numpy_type in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
            ],
            "pandas_version": "2.0.0",
        }
        table = pa.table({"task_index": pa.array([0], pa.int64()), "task": [self._instruction]})
        return table.replace_schema_metadata({"pandas": json.dumps(about)})


def _whole(value: float) -> float | int:
    """A rate as a whole number where it is one, as LeRobot has it."""
    return round(value) if abs(value - round(value)) < 1e-6 * value else value
