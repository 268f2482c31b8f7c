# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A model file, and its version's value, in torch with a way back: gradients of returns by the actions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mbrl_controller.base.errors import ModelError, one_line
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.import_onnx import network_of
from mbrl_controller.dynamics.import_value import value_of
from mbrl_controller.dynamics.value_network import ValueNetwork
from mbrl_controller.models.differentiable import Differentiated
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.spaces import Array


class TorchValue:
    """A value (LearnedValue) on tensors."""

    def __init__(self, network: ValueNetwork) -> None:
        self.spec: HeadSpec = network.spec
        self._network = network

    def values(self, states: Tensor, goals: Array) -> Tensor:
        """Values [V, M] of states [M, S] under goals [L, G] for all; NaN where a state is not finite."""
        seen = torch.as_tensor(self.spec.seen(goals), dtype=states.dtype, device=states.device)
        found: Tensor = self._network(states, seen.expand(len(states), *seen.shape[-2:]))
        return torch.where(torch.isfinite(states).all(-1), found, torch.nan)


class TorchGradients:
    """A DifferentiableModel. Made by `load`; several threads may use it."""

    def __init__(self, network: DynamicsEnsemble, value: ValueNetwork | None) -> None:
        self._network = network
        self.value = None if value is None else TorchValue(value)
        self.device, self.dtype = network.delta_std.device, network.delta_std.dtype

    @classmethod
    def load(
        cls, file: ModelFile, spec: ModelSpec, value: ModelFile | None = None, *, device: str = "cpu", threads: int = 1
    ) -> TorchGradients:
        """Read an fp32 model file and a value's; raises ModelError naming the file and the reason.

        Args:
            file: of the model.
            spec: of the model.
            value: of the version's value; None: it is not served.
            device: as in torch. A few candidates are faster on the CPU.
            threads: on the CPU, torch's threads in this whole process.
        """
        if spec.precision != "fp32":
            raise ModelError(
                f"{file.path}: its weights are rounded to {spec.precision}, which has no gradient: serve the version's "
                "fp32 file (precision fp32, or auto)"
            )
        if device == "cpu":
            torch.set_num_threads(threads)
        network = network_of(file, spec).to(device).requires_grad_(False)
        return cls(network, None if value is None else value_of(value).to(device).requires_grad_(False))

    def rollout(self, state: Array | Tensor, actions: Tensor) -> Tensor:
        """States [E, N, H, S] after each of the targets actions [N, H, A] from one state [S]; as OnnxEnsemble's."""
        start = torch.as_tensor(state, dtype=self.dtype, device=self.device)
        current = start.expand(self._network.size, len(actions), len(start))
        states = []
        for target in actions.unbind(1):
            current = self._network(current, target)
            states.append(current)
        return torch.stack(states, 2)

    def differentiate(self, returns: Callable[[Tensor], Tensor], candidates: Array) -> Differentiated:
        """Returns [N] and gradients [N, H, A]; raises ModelError where the function of tensors fails.

        Each return depends on its own candidate alone, so one way back gives the gradients of all.
        """
        given = torch.tensor(candidates, dtype=self.dtype, device=self.device, requires_grad=True)
        try:
            found = returns(given)
            if not found.requires_grad:  # a reward that no action changes
                return found.cpu().double().numpy(), torch.zeros_like(given).cpu().double().numpy()
            (gradient,) = torch.autograd.grad(found.sum(), given)
        except (RuntimeError, TypeError) as error:  # torch's own, and NumPy's functions given a tensor
            raise ModelError(
                f"its reward cannot be differentiated: {one_line(error)}; write it in the functions of "
                "tasks/arrays.py, or plan with a planner that samples, such as pddm"
            ) from error
        return found.detach().cpu().double().numpy(), gradient.cpu().double().numpy()
