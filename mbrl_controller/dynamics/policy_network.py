# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A policy: one small network from state and goal to a plan of normalised actions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_network import HeadNetwork, rms
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.tasks.spaces import Array

Limit = Literal["clip", "tanh"]


class PolicyNetwork(HeadNetwork):
    """(state [N, S], goal [N, K, G]) -> plan [N, P, A] in [-1, 1].

    `limit`: a policy that imitates plans is clipped. Where a planner's action is at the end of its range, as many are,
    the network just has to reach it, and its gradient does not vanish as a tanh's would. `tanh` for actors that were
    trained with it (SAC).
    """

    def __init__(self, spec: HeadSpec, *, limit: Limit = "clip", seed: int = 0) -> None:
        if spec.kind != "policy":
            raise ModelError(f"a policy network cannot be a {spec.kind}")
        super().__init__(spec, 1, spec.horizon * len(spec.action_names), seed)
        self.limit = limit

    def limited(self, outputs: Tensor) -> Tensor:
        """Outputs of the last layer as normalised actions."""
        return outputs.tanh() if self.limit == "tanh" else outputs.clamp(-1, 1)

    def forward(self, *given: Tensor) -> Tensor:
        plan = self.limited(super().forward(*given)[0])
        return plan.reshape(len(plan), self.spec.horizon, len(self.spec.action_names))

    @torch.no_grad()
    def plans(self, state: Array, goal: Array) -> NDArray[np.float32]:
        """Plans [N, P, A] of states [N, S] and goals [N, K, G] as arrays."""
        found: NDArray[np.float32] = self(
            *(torch.tensor(np.asarray(v), dtype=torch.float32) for v in (state, goal))
        ).numpy()
        return found

    def answers(self, *given: Array) -> NDArray[np.float32]:
        return self.plans(*given)

    def output_weights(self, config: HeadTrainConfig) -> Array:
        decay = config.step_decay ** np.arange(self.spec.horizon)
        return np.repeat(decay / decay.mean(), len(self.spec.action_names))

    def metrics(self, found: Array, target: Array, mean: Array) -> dict[str, float]:
        """`action_rmse` (of the first action), `plan_rmse`, `action_std` (error of their mean)."""
        first = len(self.spec.action_names)
        error = found.reshape(len(found), -1) - target
        return {
            "action_rmse": rms(error[:, :first]),
            "plan_rmse": rms(error),
            "action_std": rms((target - mean)[:, :first]),
        }
