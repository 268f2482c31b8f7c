# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark loop` and `mbrl soak` as a person runs them: real processes, figures that add up, nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ..commands import finish, mbrl, nodes_of

for module in ("rclpy", "mujoco"):
    pytest.importorskip(module)

pytestmark = [pytest.mark.ros, pytest.mark.slow]
MODELS = Path(__file__).resolve().parents[2] / "models"
TIMES = [f"{name}_{key}_ms" for name in ("lateness", "execution", "period") for key in ("p50", "p99", "p99_9", "max")]
NODES = {"sim", "controller", "logger"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the shipped models."""
    (tmp_path / "models").symlink_to(MODELS)
    return tmp_path


def samples(home: Path) -> list[dict[str, Any]]:
    """What a soak has written so far; a line that is cut is an error."""
    return [json.loads(line) for file in (home / "soak").glob("*.jsonl") for line in file.read_text().splitlines()]


def until_sampled(process: subprocess.Popen[str], home: Path, count: int = 3) -> None:
    deadline = time.monotonic() + 120
    while len(samples(home)) < count:
        assert time.monotonic() < deadline
        assert process.poll() is None, finish(process)
        time.sleep(0.05)


def check_times(report: dict[str, Any], seconds: float, rate: float) -> None:
    assert report["rate_hz"] == rate
    assert report["ticks"] + report["missed"] + report["rows_lost"] >= rate * seconds - 2
    assert report["lateness_p50_ms"] <= report["lateness_p99_9_ms"] <= report["lateness_max_ms"]
    assert all(report[name] >= 0 for name in TIMES)
    assert report["asked"]["scheduling_priority"] > 0
    assert isinstance(report["refused"], list)
    assert report["machine"]["cores_usable"] >= 1


@pytest.mark.parametrize(("task", "busy"), [("baoding", 0), ("valve", 1)])
def test_benchmark_loop_times_the_service_at_any_rate(home: Path, task: str, busy: int) -> None:
    file = home / "loop.json"
    arguments = ["--task", task, "--rate", "20", "--seconds", "4", "--stress-cores", str(busy), "--json", str(file)]
    code, out, err = finish(mbrl(home, "benchmark", "loop", *arguments))
    assert code == 0, out + err
    report = json.loads(file.read_text())
    check_times(report, 4.0, 20.0)
    assert (report["task"], report["busy_cores"], report["model_rate_hz"]) == (task, busy, 10.0)
    assert "lateness" in out
    assert not nodes_of(home)
    assert not list((home / "benchmark").rglob("*.mcap"))  # nothing that a later retraining could take for a log


def test_what_cannot_be_run_is_refused_before_anything_is_started(home: Path) -> None:
    for arguments, complaint in (
        (["benchmark", "loop", "--model", "v0099"], "v0099"),
        (["soak", "juggling"], "unknown task 'juggling'"),
        (["soak", "--json", str(home / "nowhere" / "report.json")], "cannot be written"),
    ):
        code, out, err = finish(mbrl(home, *arguments))
        assert code == 2, out + err
        assert complaint in " ".join(err.split())
        assert "Traceback" not in err


def test_a_soak_tells_of_time_memory_threads_files_and_log(home: Path) -> None:
    file = home / "soak.json"
    code, out, err = finish(mbrl(home, "soak", "valve", "--minutes", "0.1", "--rate", "20", "--json", str(file)))
    assert code == 0, out + err
    report = json.loads(file.read_text())
    check_times(report, 6.0, 20.0)
    assert report["ended"] == "in time"
    taken = samples(home)
    assert report["samples"] == len(taken) >= 5
    assert [sample["ticks"] for sample in taken] == sorted(sample["ticks"] for sample in taken)
    assert taken[-1]["ticks"] <= report["ticks"]
    assert set(report["nodes"]) == NODES
    for name, node in report["nodes"].items():
        assert 0 < node["pss_mib"]["last"] <= node["rss_mib"]["highest"], name
        assert node["threads"]["first"] >= 1
        assert node["files"]["highest"] >= 3
        assert node["memory"]["verdict"] in ("steady", "grows", "shrinks")
        assert name in out
    kept = sum(path.stat().st_size for path in Path(report["folder"]).rglob("*.mcap")) / 2**20
    assert kept > 0
    assert taken[-1]["log_mib"] <= kept + 0.1
    assert not nodes_of(home)


def test_a_node_that_dies_ends_the_soak_with_its_name_and_what_was_measured(home: Path) -> None:
    file = home / "soak.json"
    process = mbrl(home, "soak", "valve", "--minutes", "10", "--json", str(file))
    until_sampled(process, home)
    os.kill(nodes_of(home)["logger"], signal.SIGKILL)
    code, out, err = finish(process)
    assert code == 2, out + err
    assert "error: logger was ended by SIGKILL" in err
    assert "Traceback" not in err
    report = json.loads(file.read_text())
    assert report["ended"].startswith("logger was ended by SIGKILL")
    assert report["ticks"] > 0
    assert report["samples"] == len(samples(home)) >= 3
    assert not nodes_of(home)


def test_ctrl_c_ends_a_soak_with_its_report(home: Path) -> None:
    process = mbrl(home, "soak", "valve", "--minutes", "10")
    until_sampled(process, home)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 130, out + err
    assert "resources of the nodes" in out
    assert not nodes_of(home)


def test_a_killed_soak_leaves_what_it_had_and_no_node(home: Path) -> None:
    process = mbrl(home, "soak", "valve", "--minutes", "10")
    until_sampled(process, home)
    process.kill()
    process.communicate()
    assert len(samples(home)) >= 3
    deadline = time.monotonic() + 60
    while nodes_of(home):
        assert time.monotonic() < deadline, "nodes go on without the soak"
        time.sleep(0.1)
