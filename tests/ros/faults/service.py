# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A controller process with a hand in front of it, watched while something fails beside it."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from mbrl_controller.contract.contract import load_contract
from mbrl_controller.models.registry import Registry
from mbrl_controller.nodes import qos

from ..conftest import Ros

SENSOR_HZ = 100.0
RUNNING, HOLDING = 2.0, 3.0  # the tick's safety_state
PLANNER = {"planner.num_samples": 16, "planner.horizon": 3, "planner.iterations": 1}


class Service:
    """A controller (20 Hz) on a copy of the registry of `small_hand`, and a hand (100 Hz) that goes where it
    is told."""

    def __init__(self, ros: Ros, small_hand: Path, folder: Path) -> None:
        self.ros, self.folder = ros, folder
        shutil.copytree(small_hand, folder, dirs_exist_ok=True)
        self.contract_file = folder / "contract.yaml"
        self.contract = load_contract(self.contract_file)
        self.registry = Registry(folder / "models", shipped=folder / "none")
        self.commands = ros.collect("controller/command", JointState)
        self.taken = ros.collect("hand/commands", Float64MultiArray)  # a hand that is told nothing is not commanded
        self.ticks = ros.collect("controller/tick", Float64MultiArray)
        self.reports = ros.diagnostics("controller: control")
        self.states: list[int] = []  # stamps (ns) of what the hand published
        self._joints = ros.node.create_publisher(JointState, "joint_states", qos.SENSOR)
        self._valve = ros.node.create_publisher(JointState, "valve/joint_states", qos.SENSOR)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._hand)
        self._thread.start()
        given = {"contract": str(self.contract_file), "models_dir": str(self.registry.root), "autostart": True}
        self.process = ros.start("mbrl_controller.nodes.controller", given | PLANNER)
        ros.wait(lambda: len(self.commands) > 3, "commands")

    def close(self) -> None:
        """End the hand; the controller ends with `ros`."""
        self._stop.set()
        self._thread.join()

    @classmethod
    @contextlib.contextmanager
    def running(cls, env: dict[str, str], small_hand: Path, folder: Path) -> Iterator[Service]:
        """One with an observer of its own, ended at the end."""
        ros = Ros(env)
        service = cls(ros, small_hand, folder)
        yield service
        service.close()
        ros.close()

    def spin(self, seconds: float) -> None:
        """Handle messages for so long."""
        end = time.monotonic() + seconds
        self.ros.wait(lambda: time.monotonic() >= end, "time to pass", timeout=seconds + 10)

    def report(self, key: str, word: str) -> tuple[bytes, str, dict[str, str]]:
        """The controller's next report whose `key` contains `word`."""
        self.reports.clear()
        return self.ros.wait(
            lambda: next((r for r in self.reports if word in r[2].get(key, "")), None), f"{key}: {word}"
        )

    def load(self, version: str) -> Any:
        """The answer to a controller that is told to serve `version`."""
        assert self.ros.set_parameters("controller", model_version=version).successful
        return self.ros.call("controller/load_model", Trigger)

    def model(self) -> str:
        """The version that it serves, by its own account."""
        self.ros.wait(lambda: self.reports, "a report")
        return self.reports[-1][2]["model version"]

    def watch(self) -> Watch:
        """Begin to watch what the hand is told."""
        self.ros.wait(lambda: self.ticks, "a tick")
        return Watch(self)

    def _hand(self) -> None:
        while not self._stop.wait(1 / SENSOR_HZ):
            position = list(self.commands[-1].position) if self.commands else [0.0, 0.1, 0.2]
            trembling = [1e-9 * len(self.states)] * len(position)  # or it would be taken for frozen
            now = time.time_ns()
            joints = JointState(name=["J0", "J1", "J2"], position=position, velocity=trembling)
            valve = JointState(name=["valve"], position=[0.0], velocity=trembling[:1])
            for publisher, message in ((self._joints, joints), (self._valve, valve)):
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
                publisher.publish(message)
            self.states.append(now)


class Watch:
    """What the hand was told since."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.began = time.time()
        self._before = list(service.commands[-1].position) if service.commands else None
        self._row = _named(service.ticks[-1])

    def ends(self, ticks: int = 5) -> dict[str, Any]:
        """After `ticks` more ticks: columns of the fault matrix, once it is sure that control went on."""
        service, contract = self._service, self._service.contract
        target = len(service.ticks) + ticks
        # Last comes a plan: holds are those of a machine so busy that states came late, and missed ticks are too. How
        # many there were is in the table.
        service.ros.wait(
            lambda: len(service.ticks) >= target and _named(service.ticks[-1])["safety_state"] == RUNNING,
            "control to go on",
        )
        rows = [row for row in map(_named, service.ticks) if row["stamp"] > self._row["stamp"]]
        states = [row["safety_state"] for row in rows]
        missed = int(rows[-1]["missed_ticks"] - self._row["missed_ticks"])
        assert set(states) <= {RUNNING, HOLDING}
        unsafe = self._unsafe()
        period = contract.action.period
        return {
            "hand": f"moves on: {len(rows)} ticks, {missed} missed, {states.count(HOLDING)} held",
            "periods": max(((stamp - self.began) / period for stamp in unsafe), default=0.0),
        }

    def _unsafe(self) -> list[float]:
        """Stamps (s) of commands out of limits, not finite, or further from the one before than the jump limit."""
        action = self._service.contract.action
        reach = 2.0 * action.max_rate * action.period + 1e-9
        before, found = self._before, []
        for message in self._service.commands:
            stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
            if stamp < self.began:
                continue
            command = np.array(message.position)
            within = (command >= action.lower - 1e-9).all() and (command <= action.upper + 1e-9).all()
            if not within or (before is not None and (np.abs(command - before) > reach).any()):
                found.append(stamp)
            before = command
        return found


def _named(row: Float64MultiArray) -> dict[str, float]:
    return {dim.label: value for dim, value in zip(row.layout.dim, row.data, strict=True)}
