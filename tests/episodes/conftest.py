# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Contracts and made-up episodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class Made:
    """An episode file and what went into it."""

    path: Path
    contract: RobotContract
    states: Array
    commands: Array
    goals: Array


def _made_up(contract: RobotContract, steps: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """States [T+1, S] in which nothing is dropped, commands [T, A], goals [T+1, G]."""
    rng = np.random.default_rng(seed)
    states = rng.uniform(-0.3, 0.3, (steps + 1, len(contract.task.state)))
    height = [i for i, name in enumerate(contract.task.state.names) if name.endswith("position.z")]
    states[:, height] = 0.2
    commands = rng.uniform(-0.3, 0.3, (steps, len(contract.action)))
    return states, commands, rng.uniform(-0.05, 0.05, (steps + 1, len(contract.task.goal)))


@pytest.fixture(scope="session")
def made_up() -> Callable[..., tuple[Array, Array, Array]]:
    return _made_up


@pytest.fixture(scope="session", params=["adroit_baoding", "claw_valve"])
def contract(request: pytest.FixtureRequest) -> RobotContract:
    return load_contract(share_dir() / "config" / f"{request.param}.yaml")


@pytest.fixture(scope="session")
def claw() -> RobotContract:
    return load_contract(share_dir() / "config" / "claw_valve.yaml")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    def write(contract: RobotContract, steps: int = 20, name: str = "episode_0000.mcap", **options: object) -> Made:
        states, commands, goals = _made_up(contract, steps)
        path = tmp_path / name
        write_trajectory(path, contract, EpisodeInfo("s", 0), states, commands, goals, **options)  # type: ignore[arg-type]
        return Made(path, contract, states, commands, goals)

    return write
