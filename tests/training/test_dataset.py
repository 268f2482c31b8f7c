# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episode files to training data: how long ones are divided, and what reading takes."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.writer import EpisodeWriter
from mbrl_controller.training import dataset
from mbrl_controller.training.dataset import load_dataset

CLAW, ADROIT = contract_for("valve"), contract_for("baoding")
T0 = 1_700_000_000_000_000_000


def valve_episode(path: Path, number: int, steps: int, cut: int | None = None) -> Path:
    """Random states, the same for a number whatever the length; only the first `cut` steps are in the file."""
    rng = np.random.default_rng(number)
    states = rng.uniform(-0.3, 0.3, (steps + 1, len(CLAW.task.state)))
    commands = rng.uniform(-0.3, 0.3, (steps, len(CLAW.action)))
    count = steps if cut is None else cut
    return write_trajectory(path, CLAW, EpisodeInfo("s", number), states[: count + 1], commands[:count])


def sides(data: TransitionSet) -> tuple[TransitionSet, TransitionSet, dict[str, str]]:
    train, held = data.split_by_episode(0.3)
    return train, held, dict.fromkeys(train.episode_keys, "train") | dict.fromkeys(held.episode_keys, "held out")


def test_one_endless_episode_is_trained_on_and_held_out_in_parts_that_share_nothing(tmp_path: Path) -> None:
    data = load_dataset([valve_episode(tmp_path / "e.mcap", 0, 6300)], CLAW)
    assert data.data.episode_keys == tuple(f"claw/s/0000#{k}" for k in range(11))
    assert data.skipped == {"between two parts of a long episode": 100}
    train, held, _ = sides(data.data)
    assert min(len(train.episode_keys), len(held.episode_keys)) >= 2
    seen = {row.tobytes() for row in (*train.state, *train.next_state)}
    assert not seen & {row.tobytes() for row in (*held.state, *held.next_state)}
    apart = np.abs(train.step[:, None] - held.step[None, :])
    assert apart.min() >= 10
    for side in (train, held):
        windows = side.windows(7)
        assert (np.ptp(side.episode[windows], axis=1) == 0).all()
        assert (np.ptp(side.step[windows], axis=1) == 6).all()


def test_short_episodes_keep_their_names_and_so_their_sides(tmp_path: Path) -> None:
    files = [valve_episode(tmp_path / f"{n}.mcap", n, 40) for n in range(5)]
    files.append(valve_episode(tmp_path / "5.mcap", 5, 899))
    assert load_dataset(files, CLAW).data.episode_keys == tuple(f"claw/s/{n:04d}" for n in range(6))


def test_no_part_changes_its_side_when_others_are_recorded(tmp_path: Path) -> None:
    files = [valve_episode(tmp_path / "0.mcap", 0, 3000)]
    before = sides(load_dataset(files, CLAW).data)[2]
    files += [valve_episode(tmp_path / "1.mcap", 1, 40), valve_episode(tmp_path / "2.mcap", 2, 2000)]
    after = sides(load_dataset(files, CLAW).data)[2]
    assert before.items() <= after.items()
    assert len(after) == len(before) + 4


def test_one_reason_of_many_files_is_said_once(tmp_path: Path) -> None:
    files = [valve_episode(tmp_path / f"{i}.mcap", i, 3) for i in range(5)]
    with pytest.raises(DatasetError, match="5 episode files") as caught:
        load_dataset(files, ADROIT)
    assert f"{files[0]} and 4 more: " in str(caught.value)
    assert str(files[1]) not in str(caught.value)


def long_log(path: Path, seconds: int, rate: int = 100) -> Path:
    """As the logger writes it: sensors at `rate` (Hz), a command each period, and what else is on the topics."""
    rng = np.random.default_rng(0)
    state = np.where([n.endswith("position.z") for n in ADROIT.task.state.names], 0.2, 0.1)
    sensed = [
        (source.topic, source.type, bytearray(ros_messages.encode(source_message(source, values, 0))))
        for source, values in zip(ADROIT.sources, split_state(ADROIT, state), strict=True)
    ]
    command = ros_messages.joint_state(ADROIT.action.names, rng.uniform(-0.1, 0.1, len(ADROIT.action)), 0)
    told = [("command", ros_types.JOINT_STATE, bytearray(ros_messages.encode(command)))]
    tick = ros_messages.encode(ros_messages.multi_array(rng.random(19), [f"label_{i}" for i in range(19)]))
    writer = EpisodeWriter(path, ADROIT, EpisodeInfo("s", 0, source="logger"), flush_s=1e9, fsync=False)
    names = writer.info.topics
    for k in range(seconds * rate + 1):
        now = T0 + k * ros_messages.NANO // rate
        for topic, kind, data in sensed + (told if k % (rate // 10) == 0 else []):
            struct.pack_into("<iI", data, 4, *divmod(now, ros_messages.NANO))
            writer.write_raw(names[topic], kind, bytes(data), now)
        if k % (rate // 10) == 0:
            writer.write_raw(names["tick"], ros_types.MULTI_ARRAY, tick, now)
    return writer.close()


GROWTH = """
import resource, sys
from pathlib import Path
from mbrl_controller.training.dataset import load_dataset
from mbrl_controller.control.task_config import contract_for
def read(name):
    rows = len(load_dataset([Path(name)], contract_for("baoding")).data)
    return rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
few, before = read(sys.argv[1])
many, after = read(sys.argv[2])
print((after - before) / (many - few))
"""


UNGUARDED = """
import sys
from pathlib import Path
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.training import dataset
dataset.MANY = 2
data = dataset.load_dataset([Path(name) for name in sys.argv[1:]], contract_for("valve")).data
print(len(data.episode_keys))
"""


def test_a_plain_script_reads_many_files_without_a_main_guard(tmp_path: Path) -> None:
    files = [valve_episode(tmp_path / f"{n}.mcap", n, 40) for n in range(3)]
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    done = subprocess.run([sys.executable, str(script), *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3"]


def test_several_processes_read_what_one_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MANY", 2)
    files = [valve_episode(tmp_path / f"{n}.mcap", n, 40) for n in range(3)]
    one, two = (load_dataset(files, CLAW, processes=n).data for n in (1, 2))
    assert one.digest() == two.digest()


@pytest.mark.slow
def test_reading_an_hour_takes_memory_for_its_transitions_not_for_its_messages(tmp_path: Path) -> None:
    """A transition is 768 bytes in the end; its 30 messages at 100 Hz are 25,000, and 65,000 when all are decoded."""
    files = [str(long_log(tmp_path / f"{seconds}.mcap", seconds)) for seconds in (10, 400)]
    done = subprocess.run([sys.executable, "-c", GROWTH, *files], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 8000
