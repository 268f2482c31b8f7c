# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Retraining that is killed, or started twice, on the registry of a controller that is commanding a hand."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("torch")

from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory

from .service import Service

pytestmark = [pytest.mark.ros, pytest.mark.slow]

# Importing torch takes seconds, so one process does it and forks the jobs. A job kills itself (SIGKILL) as it is about
# to open or rename a file whose name holds what it is told, for the n-th time.
FORKS = """
import json, os, signal, sys
from pathlib import Path
from mbrl_controller.training import quantise, retrain  # torch with it
from mbrl_controller.base.errors import MbrlError

def job(events, name, count, runs, episodes, models, contract, options):
    def hook(event, arguments):
        nonlocal count
        if event in events and any(name in str(a) for a in arguments[:2]):
            count -= 1
            if not count:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    try:
        done = retrain.run(retrain.RetrainRequest(
            "valve", episodes=[Path(episodes)], models_dir=Path(models), runs_dir=Path(runs), contract=Path(contract),
            options=options, force=True, threads=1))
        print(json.dumps({"status": done.status, "text": done.version.name}), flush=True)
    except MbrlError as error:
        print(json.dumps({"status": "refused", "text": str(error)}), flush=True)

print("ready", flush=True)
for line in sys.stdin:
    pids = []
    for asked in json.loads(line):
        pid = os.fork()
        if not pid:
            job(**asked)
            os._exit(0)
        pids.append(pid)
    print(json.dumps([os.waitpid(pid, 0)[1] for pid in pids]), flush=True)
"""
TRAINING = {"hidden": [16, 16], "max_epochs": 4, "horizon": 1, "horizon_epochs": 0, "ensemble_size": 2}


class Jobs:
    """Forks retrain jobs on the service's registry."""

    def __init__(self, service: Service, log: Path) -> None:
        self.service = service
        self._common = {
            "episodes": str(service.folder / "episodes"),
            "models": str(service.registry.root),
            "contract": str(service.contract_file),
            "options": TRAINING,
        }
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, *asked: dict[str, Any]) -> tuple[list[int], list[dict[str, str]]]:
        """Jobs at the same time; how each one ended (as of waitpid), and what those said that came to an end."""
        process, common = self._process, {"events": (), "name": "", "count": 0, "runs": self._runs("runs")}
        assert process.stdin is not None
        process.stdin.write(json.dumps([self._common | common | more for more in asked]) + "\n")
        process.stdin.flush()
        with ThreadPoolExecutor(1) as reader:  # what the hand is told meanwhile is taken note of
            answer = reader.submit(self._answer)
            self.service.ros.wait(answer.done, "the end of the jobs", timeout=120.0)
        return answer.result()

    def elsewhere(self) -> dict[str, str]:
        """Of a job with another folder of runs."""
        return {"runs": self._runs("other-runs")}

    def close(self) -> None:
        """End the process that forks."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._log.close()

    def _answer(self) -> tuple[list[int], list[dict[str, str]]]:
        assert self._process.stdout is not None
        said: list[dict[str, str]] = []
        while isinstance(line := json.loads(self._process.stdout.readline()), dict):
            said.append(line)
        return line, said

    def _runs(self, name: str) -> str:
        return str(self.service.folder / name)


@pytest.fixture(scope="module")
def jobs(ros_env: dict[str, str], small_hand: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with Service.running(ros_env, small_hand, tmp_path_factory.mktemp("retrain")) as service:
        rng = np.random.default_rng(0)
        contract = service.contract
        for number in range(4):
            states = np.cumsum(rng.normal(0, 0.02, (71, len(contract.task.state))), axis=0)
            commands = rng.uniform(-0.3, 0.3, (70, len(contract.action)))
            path = service.folder / "episodes" / f"episode_{number:04d}.mcap"
            write_trajectory(path, contract, EpisodeInfo("s", number), states, commands)
        forks = Jobs(service, service.folder / "jobs.log")
        yield forks
        forks.close()


def check_registry(service: Service) -> tuple[list[str], str]:
    """Names of the versions, every one of which is whole, and of the one among them that is current."""
    found = service.registry.versions("valve")
    for version in found:
        assert version.check_digest().spec.version == version.name
    current = service.registry.current("valve")
    assert current in found
    return [version.name for version in found], current.name


def check_served(service: Service, version: str) -> str:
    """The controller takes the current version, which is this one; what it says."""
    answer = service.load("current")
    assert answer.success, answer.message
    assert answer.message.endswith(f"-> {version}")
    return f"model version: {service.report('model version', version)[2]['model version']}"


STAGES = {
    "reading episodes": (("open",), "episode_0002.mcap", 1),
    "training": (("os.rename",), "checkpoint.npz", 3),
    "exporting": (("os.rename",), "/model.onnx", 1),
    "checking against the current version": (("open",), "valve/v0", 3),
    "quantising": (("open",), "model.int8.onnx", 1),
    "reporting": (("open",), "report.md", 1),
    "registering: the files are copied": (("open",), ".adding-", 3),
    "registering: the folder gets its name": (("os.rename",), ".adding-", 1),
    "promoting: the note is written": (("open",), ".current.json.", 1),
    "promoting: the note is replaced": (("os.rename",), "current.json", 1),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_retrain_leaves_whole_versions_and_the_current_one(
    jobs: Jobs, fault_row: Callable[..., None], stage: str
) -> None:
    service = jobs.service
    before, current = check_registry(service)
    events, name, count = STAGES[stage]
    watch = service.watch()
    statuses, _ = jobs.run({"events": events, "name": name, "count": count})
    assert statuses == [signal.SIGKILL]
    after, still = check_registry(service)
    assert still == current
    assert after[: len(before)] == before
    left = f"{after[-1]} is whole, not promoted" if len(after) > len(before) else "no version"
    fault_row(
        fault=f"retrain killed (-9) {stage}",
        diagnostics=f"model version: {service.model()}",
        lost=f"that run: {left}; {current} stays current",
        **watch.ends(),
    )


def test_after_killed_ones_a_retrain_succeeds(jobs: Jobs, fault_row: Callable[..., None]) -> None:
    service = jobs.service
    before, _ = check_registry(service)
    left = service.registry.root / "valve" / ".adding-left"
    left.mkdir()
    watch = service.watch()
    (status,), (said,) = jobs.run({})
    assert (status, said["status"]) == (0, "promoted")
    assert check_registry(service) == ([*before, said["text"]], said["text"])
    assert not list(left.parent.glob(".adding-*"))
    fault_row(
        fault="the retrain after them",
        diagnostics=check_served(service, said["text"]),
        lost=f"nothing: {said['text']} promoted",
        **watch.ends(),
    )


@pytest.mark.parametrize("runs", ["the same", "different"])
def test_of_two_retrains_at_once_one_is_refused_and_says_why(
    jobs: Jobs, fault_row: Callable[..., None], runs: str
) -> None:
    service = jobs.service
    before, _ = check_registry(service)
    watch = service.watch()
    statuses, said = jobs.run({}, jobs.elsewhere() if runs == "different" else {})
    assert statuses == [0, 0]
    ended = {line["status"]: line["text"] for line in said}
    assert set(ended) == {"refused", "promoted"}
    assert "another retrain of this task is running" in ended["refused"]
    assert check_registry(service) == ([*before, ended["promoted"]], ended["promoted"])
    fault_row(
        fault=f"two retrains at once, {runs} folder of runs",
        diagnostics=check_served(service, ended["promoted"]),
        lost=f"nothing: {ended['promoted']} promoted, the other one: "
        + ended["refused"].replace(f"{service.folder}{os.sep}", ""),
        **watch.ends(),
    )


def test_readers_of_many_episodes_end_with_a_retrain_that_was_killed(tmp_path: Path) -> None:
    """They are processes of their own, which nobody would ever give work again."""
    code = (
        "import sys; from pathlib import Path; from mbrl_controller.training import dataset\n"
        "from mbrl_controller.control.task_config import contract_for\n"
        "def told(path): print(path, flush=True); sys.stdin.read()\n"
        "dataset.load_dataset([Path(sys.argv[1])] * dataset.MANY, contract_for('valve'), told, processes=2)\n"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "none.mcap")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert job.stdout is not None
    assert job.stdout.readline()
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    assert children
    handles = [os.pidfd_open(int(child)) for child in children]
    job.kill()
    job.wait()
    for handle in handles:
        assert select.select([handle], [], [], 30.0)[0], "it still waits for work"
        os.close(handle)
