# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The demo as a person runs it: real nodes, a table at the end, and nothing left behind however it ends."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.stack.demo_recorder import FRESH, DemoRecord

from ..commands import finish, mbrl, nodes_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a quickly learned valve model."""
    for module in ("rclpy", "mujoco", "torch"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("home")
    small = ("max_epochs=2", "horizon_epochs=0", "hidden=[32,32]", "ensemble_size=2")
    options = [argument for option in small for argument in ("--set", option)]
    for arguments in (
        ["collect", "valve", "--policy", "random", "--episodes", "10"],
        ["retrain", "valve", *options, "--force"],
    ):
        code, out, err = finish(mbrl(folder, *arguments), timeout=300)
        assert code == 0, out + err
    return folder


@pytest.mark.ros
@pytest.mark.slow
def test_demo_moves_logs_and_tells(home: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    code, out, err = finish(mbrl(home, "demo", "valve", "--seconds", "8", "--seed", "3", "--json", str(figures)))
    assert code == 0, out + err
    if importlib.util.find_spec("mjviser") is not None:
        assert re.search(r"watch at http://127\.0\.0\.1:\d+", out)
    report = json.loads(figures.read_text())
    for name in (
        "ticks",
        "missed ticks",
        "lateness p99 (ms)",
        "return per episode",
        "degrees turned (deg)",
        "model",
    ):
        assert re.search(rf"^ {re.escape(name)} ", out, re.MULTILINE), f"{name} is not in the table:\n{out}"
    assert report["task"] == "valve"
    assert report["ticks"] + report["missed ticks"] >= 60  # of 80 at 10 Hz
    assert report["time to first motion (s)"] > 0
    # an episode takes 4 s: the first one is over, and a second one was begun after the scene's reset
    assert report["episodes"] == report["episode files"] == 2
    files = sorted(Path(report["folder"]).glob("*.mcap"))
    episodes = [read_episode(path) for path in files]
    assert [episode.complete for episode in episodes] == [True, True]
    assert {episode.info.model_version for episode in episodes} == {report["model"]}
    assert not nodes_of(home)


@pytest.mark.ros
@pytest.mark.slow
def test_ctrl_c_stops_everything_in_order(home: Path) -> None:
    process = mbrl(home, "demo", "valve", "--seconds", "300", "--headless")
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("tick" in line for line in lines)  # it is running
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process, timeout=60)
    assert code == 130, err
    assert "missed ticks" in out
    assert "interrupted" in err
    assert not nodes_of(home)


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["controller", "sim", "logger"])
def test_a_node_that_dies_ends_the_demo_and_is_named(home: Path, victim: str) -> None:
    process = mbrl(home, "demo", "valve", "--seconds", "300", "--headless")
    deadline = time.monotonic() + 60
    while not (children := [p for p in nodes_below(process.pid) if p[1].endswith(f".{victim}")]):
        assert time.monotonic() < deadline
        assert process.poll() is None, finish(process)
        time.sleep(0.05)
    os.kill(children[0][0], signal.SIGKILL)
    code, out, err = finish(process, timeout=90)
    assert code == 2, out + err
    assert f"error: {victim} was ended by SIGKILL" in err
    assert "Traceback" not in err
    assert not nodes_of(home)


def nodes_below(pid: int) -> list[tuple[int, str]]:
    """Process ids and modules of the nodes that process `pid` has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            words = (path.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == pid:
            found += [(int(path.parent.name), w.decode()) for w in words if w.startswith(b"mbrl_controller.nodes.")]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["valve", "--rate", "50"], r"rate.*50.*0\.1 s \(10 Hz\)"),
        (["valve", "--model", "v0099"], r"v0099.*valve"),
        (["juggling"], r"unknown task 'juggling'.*baoding, .*reach, valve"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(home: Path, arguments: list[str], complaint: str) -> None:
    code, _, err = finish(mbrl(home, "demo", *arguments, "--headless"))
    assert code == 2
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert re.search(complaint, err)


def test_record_sums_up_what_it_saw() -> None:
    contract = contract_for("valve")
    period = contract.action.period
    record = DemoRecord(contract.task, period)
    state = np.zeros(len(contract.task.state))
    command = np.zeros(len(contract.action))
    empty = {"episode_time": np.nan, "missed_ticks": 0.0, "late_plans": 0.0, "lateness": 0.001, "reward": np.nan}
    empty |= {"previous_execution": np.nan, "plan_duration": np.nan, "episode": -1.0, "source": 0.0}
    record.add(empty, None, 1.0)
    assert record.first_plan is None
    for episode in range(2):
        for k in range(5):
            moved = state.copy()
            moved[contract.task.state.index("valve.position")] = 0.1 * k
            row = {**empty, "episode": float(episode), "episode_time": k * period, "source": FRESH[0], "reward": -1.0}
            row |= {"missed_ticks": float(episode), "previous_execution": 0.02}
            record.add(row, (moved, command, np.array([0.5])), 2.0 + k)
    summary = record.summary()
    assert record.first_plan == 2.0
    assert summary["ticks"] == 11
    assert summary["missed ticks"] == 1
    assert summary["episodes"] == 2
    assert summary["lateness p99 (ms)"] == pytest.approx(1.0)
    assert summary["execution p99 (ms)"] == pytest.approx(20.0)
    assert summary["plan p99 (ms)"] is None
    assert summary["reward per step"] == -1.0
    expected = contract.task.metrics(
        np.array(record.episodes[0].states), np.zeros((4, len(command))), np.full((5, 1), 0.5), period
    )
    assert summary["final goal error (rad)"] == pytest.approx(expected.values["final_goal_error"])
    assert summary["degrees turned (deg)"] == pytest.approx(expected.values["degrees_turned"])


def test_nothing_seen_is_nothing_told() -> None:
    contract = contract_for("baoding")
    summary = DemoRecord(contract.task, contract.action.period).summary()
    assert summary["ticks"] == summary["episodes"] == 0
    assert summary["return per episode"] is None
