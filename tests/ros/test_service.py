# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The whole service as a person runs it: collect, learn, control in real time, swap the model, log, learn again."""

from __future__ import annotations

import shutil
import signal
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("torch")

from rosbags.highlevel import AnyReader
from std_srvs.srv import Trigger

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.registry import Registry
from mbrl_controller.rollouts import collect
from mbrl_controller.training import retrain

from ..rollout_calls import retrained, roll_out

pytestmark = [pytest.mark.ros, pytest.mark.slow]
CONTRACT = share_dir() / "config" / "claw_valve.yaml"
TINY = {"hidden": [32, 32], "max_epochs": 5, "horizon": 1, "ensemble_size": 2}
EPISODE_S = 4.0


def learn(base: Path, episodes: Path) -> retrain.RetrainResult:
    return retrained(
        "valve",
        episodes=[episodes],
        models_dir=base / "models",
        runs_dir=base / "runs",
        options=TINY,
        force=True,
        threads=1,
    )


def report(ros: Any, seen: list, key: str, wanted: str) -> dict[str, str]:
    """The first report from now on whose `key` is `wanted`."""
    seen.clear()
    return ros.wait(lambda: next((r[2] for r in seen if r[2].get(key) == wanted), None), f"{key}: {wanted}")


def test_from_random_motion_to_a_model_that_learnt_from_the_log(ros: Any, tmp_path: Path) -> None:
    first = roll_out(collect.run, "valve", episodes=8, policy="random", episodes_dir=tmp_path / "random", processes=1)
    assert learn(tmp_path, first.folder).version.name == first_version(tmp_path)
    learn(tmp_path, first.folder)
    versions = Registry(tmp_path / "models").versions("valve")[-2:]
    Registry(tmp_path / "models").promote("valve", versions[0].name)

    space = f"/hand_{uuid.uuid4().hex[:8]}"
    namespace = ("--ros-args", "-r", f"__ns:={space}", "--")
    common = {"contract": str(CONTRACT), "autostart": True}
    logged = tmp_path / "episodes"
    logger = ros.start("mbrl_controller.nodes.logger", common | {"log_dir": str(logged)}, *namespace)
    sim = ros.start("mbrl_controller.nodes.sim", common, *namespace)
    heard = ros.diagnostics(f"{space[1:]}/logger: logging")
    ros.wait(lambda: heard and heard[-1][2]["silent topics"] == f"{space}/controller/command", "the logger to hear")
    controller = ros.start(
        "mbrl_controller.nodes.controller",
        common
        | {
            "models_dir": str(tmp_path / "models"),
            "planner.num_samples": 32,
            "session": "day",
            "episode_s": EPISODE_S,
            "auto_reset": True,
            "reset_service": "sim/reset",
            "check_disagreement": False,
        },
        *namespace,
    )
    seen = ros.diagnostics(f"{space[1:]}/controller: control")
    running = report(ros, seen, "safety state", "running")
    assert running["model version"] == versions[0].name

    folder = logged / "valve" / "day"
    ros.wait(lambda: len(list(folder.glob("*.mcap"))) >= 2, "two episodes")
    assert [swap(ros, space, seen, versions[i].name) for i in (1, 0, 1, 0, 1)] == [0] * 5

    ros.wait(lambda: len(list(folder.glob("*.mcap"))) >= 8, "eight episodes", timeout=90.0)
    for process in (controller, logger, sim):
        assert process.stop(signal.SIGINT) == 0, process.output

    files = sorted(folder.glob("*.mcap"))
    assert not list(folder.glob("*.part"))
    # DDS may bring controller and logger together only after the first episode has begun.
    with AnyReader([files[1]]) as bag:
        counts = {c.topic: c.msgcount for c in bag.connections}
        command = next(c for c in bag.connections if c.topic == f"{space}/controller/command")
        rows = [bag.deserialize(data, command.msgtype) for _, _, data in bag.messages([command])]
    action = load_contract(CONTRACT).action
    assert all(tuple(row.name) == action.names for row in rows)
    assert all((row.position >= action.lower).all() and (row.position <= action.upper).all() for row in rows)
    assert counts[f"{space}/joint_states"] > len(rows) >= 0.9 * EPISODE_S / action.period

    learnt = learn(tmp_path, logged)
    assert learnt.status == "promoted"
    assert {f.name for f in learnt.dataset.files} >= {f.name for f in files[:7]}  # SIGINT cuts the last one short
    contract = load_contract(CONTRACT)
    model = OnnxEnsemble.load(learnt.version.model, task=contract.task, action=contract.action)
    assert np.isfinite(model.rollout(learnt.dataset.data.state[0], learnt.dataset.data.action[None, :5])).all()
    shutil.rmtree(logged)


def swap(ros: Any, space: str, seen: list, version: str) -> int:
    """Load `version` while the controller runs; ticks missed meanwhile."""
    before = report(ros, seen, "safety state", "running")
    assert ros.set_parameters(f"{space}/controller", model_version=version).successful
    answer = ros.call(f"{space}/controller/load_model", Trigger)
    assert answer.success, answer.message
    after = report(ros, seen, "model version", version)
    return int(after["missed ticks"]) - int(before["missed ticks"])


def first_version(base: Path) -> str:
    """The oldest version that this test made: shipped ones come before it."""
    own = [v for v in Registry(base / "models").versions("valve") if v.folder.is_relative_to(base)]
    return own[0].name
