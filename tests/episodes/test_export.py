# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes in the formats of others hold what the log holds, and nothing is lost in silence."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")
import pyarrow.parquet as pq

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.episodes import export, parquet_files
from mbrl_controller.episodes.export import FORMATS
from mbrl_controller.episodes.export_lerobot import LeRobotWriter
from mbrl_controller.episodes.export_writer import ExportOptions
from mbrl_controller.episodes.feature_stats import FeatureStats
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.segments import segments
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.transitions import used_periods

LEROBOT_PYTHON = "MBRL_LEROBOT_PYTHON"  # interpreter of an environment in which lerobot is installed
GAP = {"stamp": [1.0 + 0.1 * k for k in range(12)], "doubt": [0.0] * 5 + [1.0] + [0.0] * 6}


@pytest.fixture
def log(contract, made_up, tmp_path) -> list[Path]:
    """Two episodes; in the second, nobody took the commands of the first six periods."""
    files = []
    for number, ticks in enumerate(({}, GAP)):
        path = tmp_path / "log" / f"episode_{number:04d}.mcap"
        arrays = made_up(contract, 12, seed=number)
        files.append(write_trajectory(path, contract, EpisodeInfo("s", number, world="real"), *arrays, ticks=ticks))
    return files


@pytest.fixture
def stretches(log) -> list:
    episodes = [read_episode(path) for path in log]
    return [segment for episode in episodes for segment in segments(episode, used_periods(episode))]


def test_segments_have_no_gap_and_begin_and_end_where_the_log_says(contract, log, made_up, stretches) -> None:
    assert [len(segment) for segment in stretches] == [12, 6]
    states, commands, goals = made_up(contract, 12, seed=1)
    last = stretches[1]
    np.testing.assert_allclose(last.states, states[6:])
    np.testing.assert_allclose(last.actions, commands[6:])
    np.testing.assert_allclose(last.goals, goals[6:])
    np.testing.assert_allclose(last.rewards, contract.task.reward(states[7:], commands[6:], goals[7:]))
    np.testing.assert_allclose(last.recorded_times, 0.1 * np.arange(6, 13))
    assert last.times[0] == 0
    assert len({segment.key for segment in stretches}) == 2


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_tables_have_named_columns_and_the_same_numbers(form, contract, log, stretches, tmp_path) -> None:
    report = export.run(log, tmp_path / "out", form)
    assert (report.files, report.segments, report.frames) == (2, 2, 18)
    assert sum(report.left_out.values()) == 6
    if form == "parquet":
        table = pq.read_table(tmp_path / "out" / "episodes.parquet")
        rows = {name: np.array(table[name].to_pylist(), dtype=object) for name in table.column_names}
        assert table.schema.field("stamp_ns").metadata[b"unit"] == b"ns"
    else:
        with (tmp_path / "out" / "episodes.csv").open() as file:
            lines = list(csv.DictReader(file))
        rows = {name: np.array([line[name] or None for line in lines], dtype=object) for name in lines[0]}
    about = json.loads((tmp_path / "out" / "columns.json").read_text())
    assert [column["name"] for column in about["columns"]] == list(rows)
    assert sum(about["left_out"].values()) == 6
    task = contract.task
    for i, name in enumerate(task.state.names):
        wanted = np.concatenate([segment.states[:, i] for segment in stretches])
        assert rows[f"state.{name}"].astype(float).tolist() == wanted.tolist()  # to the bit
    for i, name in enumerate(contract.action.names):
        wanted = [x for segment in stretches for x in [*segment.actions[:, i].tolist(), None]]
        assert [x if x is None else float(x) for x in rows[f"action.{name}"]] == wanted
    assert [int(x) for x in rows["segment"]] == [0] * 13 + [1] * 7


def test_lerobots_files_hold_the_log_to_float32(contract, log, stretches, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(LeRobotWriter, "file_mb", 0)  # a new file for each segment, and a new chunk for each file
    monkeypatch.setattr(LeRobotWriter, "chunk_files", 1)
    export.run(log, tmp_path / "out", "lerobot", options=ExportOptions("turn it"))
    meta = tmp_path / "out" / "meta"
    info = json.loads((meta / "info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 10, 18)
    assert info["features"]["observation.state"]["names"] == list(contract.task.state.names)
    episodes = pq.read_table(meta / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [(e["data/chunk_index"], e["data/file_index"]) for e in episodes] == [(0, 0), (1, 0)]
    for episode, segment in zip(episodes, stretches, strict=True):
        path = info["data_path"].format(chunk_index=episode["data/chunk_index"], file_index=episode["data/file_index"])
        rows = pq.read_table(tmp_path / "out" / path)
        assert set(rows.column_names) == set(info["features"])
        assert rows["index"].to_pylist() == list(range(episode["dataset_from_index"], episode["dataset_to_index"]))
        np.testing.assert_array_equal(rows["observation.state"].to_pylist(), segment.states[:-1].astype(np.float32))
        np.testing.assert_array_equal(rows["action"].to_pylist(), segment.actions.astype(np.float32))
        np.testing.assert_allclose(rows["timestamp"].to_pylist(), 0.1 * np.arange(len(segment)), atol=1e-6)
        assert rows["next.done"].to_pylist() == [False] * (len(segment) - 1) + [True]
        assert episode["recording"] == segment.key
    stats = json.loads((meta / "stats.json").read_text())
    states = np.concatenate([segment.states[:-1] for segment in stretches])
    np.testing.assert_allclose(stats["observation.state"]["std"], states.std(0), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(stats["observation.state"]["q90"], np.quantile(states, 0.9, axis=0), rtol=1e-5)
    assert stats["action"]["count"] == [18]


LEROBOT = """
import json, sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
data = LeRobotDataset("any/name", root=sys.argv[1], delta_timestamps={"action": [0, 0.1]})
frames = [data[i] for i in range(len(data))]
print(json.dumps({
    "state": [f["observation.state"].tolist() for f in frames], "action": [f["action"][0].tolist() for f in frames],
    "next": [f["action"][1].tolist() for f in frames], "task": frames[0]["task"], "episodes": data.num_episodes,
    "padded": [f["action_is_pad"].tolist() for f in frames], "mean": data.meta.stats["action"]["mean"].tolist(),
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("contract", ["adroit_baoding"], indirect=True)
def test_lerobot_loads_what_is_written_for_it(log, stretches, tmp_path) -> None:
    """In an environment of its own: `pip install lerobot` brings its own torch."""
    python = os.environ.get(LEROBOT_PYTHON, sys.executable)
    found = subprocess.run([python, "-c", "import lerobot"], capture_output=True, timeout=120)
    if found.returncode:
        pytest.skip(f"lerobot is not installed in {python}; {LEROBOT_PYTHON} names an interpreter that has it")
    export.run(log, tmp_path / "out", "lerobot", options=ExportOptions("turn it"))
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    command = [python, "-c", LEROBOT, str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr[-2000:]
    read = json.loads(done.stdout.splitlines()[-1])
    states = np.concatenate([segment.states[:-1] for segment in stretches]).astype(np.float32)
    actions = np.concatenate([segment.actions for segment in stretches]).astype(np.float32)
    np.testing.assert_array_equal(np.array(read["state"], np.float32), states)
    np.testing.assert_array_equal(np.array(read["action"], np.float32), actions)
    ends = [11, 17]
    assert [i for i, (_, next_one) in enumerate(read["padded"]) if next_one] == ends
    np.testing.assert_array_equal(np.array(read["next"], np.float32)[:11], actions[1:12])
    assert (read["task"], read["episodes"]) == ("turn it", 2)
    np.testing.assert_allclose(read["mean"], actions.mean(0), atol=1e-6)


def test_minari_loads_what_is_written_for_it(contract, log, stretches, tmp_path, monkeypatch) -> None:
    minari = pytest.importorskip("minari")
    export.run(log, tmp_path / "out", "minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "out"))
    (name,) = minari.list_local_datasets()
    data = minari.load_dataset(name)
    assert (data.total_episodes, data.total_steps) == (2, 18)
    for episode, segment in zip(data.iterate_episodes(), stretches, strict=True):
        wanted = np.concatenate([segment.states, segment.goals], axis=1).astype(np.float32)
        np.testing.assert_array_equal(episode.observations, wanted)
        np.testing.assert_array_equal(episode.actions, segment.actions.astype(np.float32))
        np.testing.assert_allclose(episode.rewards, segment.rewards)
        assert episode.truncations.tolist() == [False] * (len(segment) - 1) + [True]
        assert not episode.terminations.any()
    assert data.storage.metadata["observation_names"][: len(contract.task.state)] == list(contract.task.state.names)


@pytest.mark.parametrize("form", FORMATS)
def test_periods_without_goals_are_exported_or_counted(form, claw, made_up, tmp_path) -> None:
    if form == "minari":
        pytest.importorskip("minari")
    states, commands, _ = made_up(claw, 4)
    file = write_trajectory(tmp_path / "e.mcap", claw, EpisodeInfo("s", 0), states, commands)
    if form in ("lerobot", "minari"):
        with pytest.raises(MbrlError, match="no goal"):
            export.run([file], tmp_path / "out", form)
        assert [path.name for path in tmp_path.iterdir()] == ["e.mcap"]
    report = export.run([file], tmp_path / "out", form, options=ExportOptions(goals=False))
    assert report.frames == 4


@pytest.mark.parametrize("form", FORMATS)
def test_what_cannot_be_used_is_named_and_the_rest_exported(form, log, tmp_path) -> None:
    if form == "minari":
        pytest.importorskip("minari")
    copy, broken = tmp_path / "copy.mcap", tmp_path / "broken.mcap"
    copy.write_bytes(log[0].read_bytes())
    broken.write_bytes(log[0].read_bytes()[:50])
    report = export.run([broken, *log, copy], tmp_path / "out", form)
    assert set(report.unused) == {str(copy), str(broken)}
    assert report.frames == 18


def test_a_folder_that_holds_something_is_left_alone(log, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(MbrlError, match="out"):
        export.run(log, tmp_path / "out", "csv")
    assert (tmp_path / "out" / "mine").read_text() == "x"
    with pytest.raises(MbrlError, match="nothing to export"):
        export.run([], tmp_path / "new", "csv")
    assert not (tmp_path / "new").exists()


def test_two_robots_do_not_become_one_data_set(claw, made_up, tmp_path) -> None:
    files = [write_trajectory(tmp_path / "a.mcap", claw, EpisodeInfo("s", 0), *made_up(claw, 3))]
    text = claw.text.replace(f"robot: {claw.file.robot}", "robot: other")
    other = parse_contract(text)
    files.append(write_trajectory(tmp_path / "b.mcap", other, EpisodeInfo("s", 0), *made_up(claw, 3)))
    with pytest.raises(MbrlError, match="other"):
        export.run(files, tmp_path / "out", "csv")
    report = export.run(files, tmp_path / "out", "csv", contract=other)
    assert (report.files, len(report.unused)) == (1, 1)


def test_a_missing_library_is_named_with_how_to_install_it(log, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MbrlError, match=r"pyarrow.*pip install"):
        parquet_files.load()
    with pytest.raises(MbrlError, match=r"pyarrow.*pip install"):
        export.run(log, tmp_path / "out", "lerobot")
    assert not (tmp_path / "out").exists()


def test_statistics_of_parts_are_those_of_the_whole(monkeypatch) -> None:
    rows = np.random.default_rng(0).normal(5.0, [1.0, 1e-3], (1000, 2))
    whole, parts = FeatureStats(), FeatureStats()
    whole.add(rows)
    for part in np.array_split(rows, [1, 2, 500]):
        parts.add(part)
    assert parts.result()["count"] == [1000]
    for name, value in whole.result().items():
        np.testing.assert_allclose(parts.result()[name], value, rtol=1e-9)
    np.testing.assert_allclose(parts.result()["std"], rows.std(0), rtol=1e-9)
    monkeypatch.setattr("mbrl_controller.episodes.feature_stats.KEPT_ROWS", 100)
    few = FeatureStats()
    for part in np.array_split(rows, 7):
        few.add(part)
    assert sum(map(len, few._kept)) <= 100
    np.testing.assert_array_equal(np.concatenate(few._kept), rows[:: few._every])
