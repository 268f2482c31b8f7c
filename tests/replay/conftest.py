# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Made-up episodes of the claw with plans and diagnostics, as the logger writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.mcap_scan import McapScan, Message
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.episodes.trajectory_writer import START_NS, write_trajectory
from mbrl_controller.episodes.writer import EpisodeWriter
from mbrl_controller.tasks.spaces import Array

STEPS, HORIZON = 20, 4
PERIOD = 0.1  # s, the claw's


@dataclass(frozen=True)
class Made:
    """An episode's file and what went into it; tick k is at k periods."""

    path: Path
    contract: RobotContract
    states: Array  # [T + 1, S]
    commands: Array  # [T, A]
    plans: Array  # [T, H, A]


@dataclass
class Maker:
    """Writes episodes into a session's folder."""

    folder: Path
    contract: RobotContract
    count: int = 0
    made: list[Made] = field(default_factory=list)

    def __call__(
        self,
        ticks: Mapping[str, Sequence[float] | Array] | None = None,
        reason: str = "timeout",
        statuses: Sequence[tuple[float, str, str, float]] = (),
        lead: int = 0,
        version: str = "",
        planned: bool = True,
    ) -> Made:
        """`statuses`: (s, safety state, reason, disagreement limit); `lead`: periods that plans are stamped late by."""
        contract, rng = self.contract, np.random.default_rng(self.count)
        states = rng.uniform(-0.2, 0.2, (STEPS + 1, len(contract.task.state)))
        commands = rng.uniform(-0.2, 0.2, (STEPS, len(contract.action)))
        goals = np.full((STEPS + 1, 1), 0.5)
        plans = np.stack([np.resize(commands[k:], (HORIZON, len(contract.action))) for k in range(STEPS)])
        info = EpisodeInfo("s", self.count, model_version=version, source="logger")
        path = self.folder / f"episode_{self.count:04d}.mcap"
        plain = self.folder / "plain"
        write_trajectory(plain, contract, info, states, commands, goals, ticks=ticks, reason=reason)
        self.count += 1
        with EpisodeWriter(path, contract, read_info(plain)) as writer:
            for record in McapScan().records(plain):
                if isinstance(record, Message):
                    writer.write_raw(record.channel.topic, record.channel.type_name, record.data, record.log_time)
            for k in range(STEPS if planned else 0):
                stamp = START_NS + round((k + lead) * PERIOD * 1e9)
                times = PERIOD * np.arange(HORIZON)
                writer.write(
                    "/controller/plan",
                    ros_messages.trajectory(contract.action.names, plans[k], times, stamp),
                    START_NS + round(k * PERIOD * 1e9),
                )
            for time, state, why, limit in statuses:
                stamp = START_NS + round(time * 1e9)
                writer.write("/diagnostics", diagnostics(stamp, state, why, limit), stamp)
        plain.unlink()
        self.made.append(Made(path, contract, states, commands, plans))
        return self.made[-1]


def diagnostics(stamp: int, state: str, reason: str, limit: float) -> object:
    """What the controller tells at `stamp` (ns)."""
    types = ros_messages.typestore().types
    pair, status = types["diagnostic_msgs/msg/KeyValue"], types["diagnostic_msgs/msg/DiagnosticStatus"]
    values = {"safety state": state, "reason": reason, "disagreement limit": str(limit)}
    pairs = [pair(key=key, value=value) for key, value in values.items()]
    one = status(level=0, name="controller: control", message=state, hardware_id="", values=pairs)
    header = ros_messages.joint_state((), (), stamp).header
    return types[ros_types.DIAGNOSTICS](header=header, status=[one])


@pytest.fixture(scope="session")
def claw() -> RobotContract:
    return load_contract(share_dir() / "config" / "claw_valve.yaml")


@pytest.fixture
def make(tmp_path: Path, claw: RobotContract) -> Callable[..., Made]:
    folder = tmp_path / "valve" / "s"
    folder.mkdir(parents=True)
    return Maker(folder, claw)
