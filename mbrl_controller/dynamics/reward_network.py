# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A reward: an ensemble of small networks from a step, r(s, a, s'), and the goal at its end to the step's reward."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.head_network import Block
from mbrl_controller.dynamics.scalar_network import ScalarNetwork
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array, VectorSpec


class RewardNetwork(ScalarNetwork):
    """(next state [N, S], change of state [N, S], action [N, A], goal [N, 1, G]) -> reward [V, N].

    The state before the step is given as the change from it: beside the next state it would be nearly the same numbers
    twice, and in the deviations of a state a step's change is lost in rounding and noise.
    """

    def __init__(self, spec: HeadSpec, *, seed: int = 0) -> None:
        if spec.kind != "reward":
            raise ModelError(f"a reward network cannot be a {spec.kind}")
        super().__init__(spec, seed=seed)

    @classmethod
    def blocks_of(cls, spec: HeadSpec) -> list[Block]:
        return [
            Block.of("next_state", spec.state),
            Block.of("change", spec.state, prefix="change of "),
            Block.of("action", VectorSpec(spec.action_names, spec.action_units), prefix="target "),
            Block.of("goal", spec.goal, prefix="goal "),
        ]

    def rewards(self, state: Array, action: Array, next_state: Array, goal: Array) -> NDArray[np.float32]:
        """Rewards [V, N] of steps from states [N, S] by joint targets [N, A] under goals [N, 1, G], as arrays."""
        return self.answers(next_state, np.asarray(next_state) - np.asarray(state), action, goal).T
