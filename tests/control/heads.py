# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A policy, a value and a reward that a test can follow with a pencil, and a model that has them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from .conftest import PlainModel


class FakePolicy:
    """Wants every joint at the same normalised `action`, for two steps."""

    def __init__(self, action: float = 0.5, reach: int = 2) -> None:
        self.action, self.spec = action, SimpleNamespace(reach=reach)
        self.asked: list[tuple[np.ndarray, np.ndarray]] = []
        self.fails = False

    def plan(self, state: np.ndarray, goals: np.ndarray) -> np.ndarray:
        if self.fails:
            raise RuntimeError("the policy broke")
        self.asked.append((np.array(state), np.array(goals)))
        return np.array([[self.action] * 3, [self.action / 2] * 3], np.float32)


class FakeValue:
    """The higher the first joint at the end, the better."""

    def __init__(self, reach: int = 3, discount: float = 0.9, scale: float = 100.0) -> None:
        self.spec, self.scale = SimpleNamespace(reach=reach, discount=discount), scale
        self.asked: list[tuple[np.ndarray, np.ndarray]] = []

    def values(self, states: np.ndarray, goals: np.ndarray) -> np.ndarray:
        self.asked.append((np.array(states), np.array(goals)))
        return np.tile(self.scale * states[:, 0], (3, 1))


class FakeReward:
    """The further along `wants` the first joint's target, the better; two members that agree."""

    def __init__(self, wants: float = 1.0) -> None:
        self.wants = wants
        self.asked: list[int] = []

    def rewards(
        self, states: np.ndarray, actions: np.ndarray, next_states: np.ndarray, goals: np.ndarray
    ) -> np.ndarray:
        self.asked.append(len(states))
        return np.tile(self.wants * actions[:, 0], (2, 1))


class Headed(PlainModel):
    """The plain model, of a version with heads."""

    def __init__(self, policy: Any = None, value: Any = None, reward: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.policy, self.value, self.reward = policy, value, reward
