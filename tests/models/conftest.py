# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A task of one joint and a dial, and heads for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.heads import HeadSpec


@pytest.fixture(scope="session")
def valve() -> RobotContract:
    """The shipped valve: 9 joints, 20 state entries, a goal angle."""
    return contract_for("valve", None)


@pytest.fixture(scope="session")
def head_spec(valve: RobotContract) -> Callable[..., HeadSpec]:
    """A spec for the valve: `head_spec("policy", horizon=3)`."""

    def make(kind: Any, goal_steps: tuple[int, ...] = (1, 4), **more: Any) -> HeadSpec:
        return HeadSpec.of(kind, valve.task, valve.file.robot, valve.action, goal_steps, (8,), **more)

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
