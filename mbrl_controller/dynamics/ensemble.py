# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The learned dynamics: an ensemble of small networks as one batched network (PDDM: 3 members, 2 x 500, ReLU)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.contacts import TorchContacts
from mbrl_controller.dynamics.data import TransitionSet, change_scale, robust_scale
from mbrl_controller.dynamics.mirror_images import MirrorImages
from mbrl_controller.dynamics.torch_operations import TorchOperations
from mbrl_controller.dynamics.train_config import ActionInput
from mbrl_controller.dynamics.turning import TurnLayout, next_state
from mbrl_controller.dynamics.validation import Predictor
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.base import Symmetry
from mbrl_controller.tasks.spaces import Array

# A warm start keeps the old function under a new scaling, except where the old scale was only a lower bound.
_RESCALE_LIMIT = 10.0
# Lower bound for the scale of a contact feature (range 0 to 1.7): a surface rarely near a ball is not amplified.
_CONTACT_STD = 0.05
SCALING = ("feature_mean", "feature_std", "delta_mean", "delta_std")


class DynamicsEnsemble(nn.Module):
    """(state [E, N, S], action [N, A] or [E, N, A]) -> next state [E, N, S], physical units in and out.

    Actions are joint targets (rad). First they are limited to the joint's range and to what it can reach in one period,
    as in `ActionSpace.limit`, so that a planner's raw candidate and the command logged for it are the same input
    (except for a joint further outside its limits than it can move in a period). `action_input="target"` feeds that
    target to the network, `"error"` feeds target minus position: the input of a position actuator.

    A periodic angle is input as sine and cosine and output unwrapped (state + change). An orientation is output as a
    turn (dynamics/turning.py). If the spec has a geometry, the contact features of the state come last.
    Scaled inputs are clamped to +-`input_clamp` (standard deviations): this limits extrapolation, and one candidate
    that throws a ball away does not coarsen the quantisation of the others.
    """

    error_input: Tensor
    feature_mean: Tensor
    feature_std: Tensor
    delta_mean: Tensor
    delta_std: Tensor
    joint: Tensor
    angle: Tensor
    linear: Tensor
    reach: Tensor
    lower: Tensor
    upper: Tensor
    output_entries: Tensor
    output_factors: Tensor

    def __init__(
        self, spec: ModelSpec, *, action_input: ActionInput = "error", input_clamp: float = 5.0, seed: int = 0
    ) -> None:
        """Random weights from `seed`, and no scaling yet: see `fit_scaling`."""
        super().__init__()
        self.action_input, self.input_clamp, self.hidden = action_input, input_clamp, tuple(spec.hidden)
        self.size = spec.ensemble_size
        S, A = len(spec.state_names), len(spec.action_names)
        self.turns = TurnLayout(spec.state)
        self.turning = TorchOperations(self.turns.constants) if self.turns.starts else None
        self._layout_buffers(spec)
        self.contacts = None if spec.geometry is None else TorchContacts(spec.geometry, spec.state)
        touching = 0 if self.contacts is None else self.contacts.layout.size
        F = S + len(spec.periodic) + A + touching
        self.feature_units = [spec.state_units[i] for i in self.linear.tolist()]
        self.feature_units += ["sin"] * len(spec.periodic) + ["cos"] * len(spec.periodic) + ["action"] * A
        self.feature_units += ["contact"] * touching
        self.register_buffer("error_input", torch.tensor(action_input == "error"))
        self.register_buffer("feature_mean", torch.zeros(F))
        self.register_buffer("feature_std", torch.ones(F))
        self.register_buffer("delta_mean", torch.zeros(S))
        self.register_buffer("delta_std", torch.ones(S))
        widths = [F, *self.hidden, self.turns.outputs]
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(self.size, i, o)) for i, o in pairwise(widths))
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(self.size, 1, o)) for o in widths[1:])
        initialise(self.weights, self.biases, seed)

    def _layout_buffers(self, spec: ModelSpec) -> None:
        try:
            joint = spec.state.indices([f"{name}.position" for name in spec.action_names])
        except KeyError as error:
            raise ModelError(f"the state lacks an actuated joint's position: {error.args[0]}") from error
        linear = [i for i in range(len(spec.state_names)) if i not in spec.periodic]
        constants = {
            "joint": torch.tensor(joint, dtype=torch.long),
            "angle": torch.tensor(spec.periodic, dtype=torch.long),
            "linear": torch.tensor(linear, dtype=torch.long),
            "reach": torch.tensor(spec.action_max_rate) * spec.control_period_s,
            "lower": torch.tensor(spec.action_lower),
            "upper": torch.tensor(spec.action_upper),
            "output_entries": torch.tensor(self.turns.entries),
            "output_factors": torch.tensor(self.turns.factors, dtype=torch.float32),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def features(self, state: Tensor, action: Tensor) -> Tensor:
        """Network inputs [E, N, F] before scaling: plain entries, sines, cosines, action, contacts."""
        position = state.index_select(-1, self.joint)
        target = torch.minimum(torch.maximum(action, self.lower), self.upper)
        push = torch.minimum(torch.maximum(target - position, -self.reach), self.reach)
        action_part = push if self.action_input == "error" else position + push
        parts = [state, action_part]
        if len(self.angle):
            angle = state.index_select(-1, self.angle)
            parts = [state.index_select(-1, self.linear), angle.sin(), angle.cos(), action_part]
        return torch.cat(parts if self.contacts is None else [*parts, self.contacts(state)], -1)

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        *_, x = self._layers(state, action)
        scale, mean = self.output_scaling()
        output = x * scale + mean
        if self.turning is None:
            return state + output
        return torch.cat(next_state(self.turning, self.turns, state, output), -1)

    def output_scaling(self) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of the outputs; both [S] without orientations."""
        return self._of_outputs(self.delta_std), self._of_outputs(self.delta_mean)

    def _of_outputs(self, change: Tensor) -> Tensor:
        """Scale or mean of the outputs [S - 3 K] from that of each entry's change [S]."""
        return change if self.turning is None else change[self.output_entries] * self.output_factors

    def hidden_activations(self, state: Tensor, action: Tensor) -> list[Tensor]:
        """Outputs [E, N, W] of the hidden layers."""
        return list(self._layers(state, action))[:-1]

    def scaled_features(self, state: Tensor, action: Tensor) -> Tensor:
        """Inputs of the first layer [E, N, F]: in standard deviations, clamped."""
        x = (self.features(state, action) - self.feature_mean) / self.feature_std
        return x.clamp(-self.input_clamp, self.input_clamp)

    def _layers(self, state: Tensor, action: Tensor) -> Iterator[Tensor]:
        x = self.scaled_features(state, action)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = x.relu()
            yield x

    @torch.no_grad()
    def fit_scaling(
        self, data: TransitionSet, spec: ModelSpec, keep_function: bool = False, symmetries: Sequence[Symmetry] = ()
    ) -> None:
        """Set the scaling from training data and its mirror images.

        Args:
            data: The transitions.
            spec: Description of the model.
            keep_function: Adapt the weights so that predictions do not change.
            symmetries: Of the mirror images.
        """
        images = MirrorImages(data, tuple(symmetries))

        def features(*values: Array) -> Array:
            return self.features(*(torch.tensor(v, dtype=torch.float32) for v in values)).numpy()

        seen = (features(state, action) for state, action, _ in images.parts())
        mean, std = robust_scale(seen, self.feature_units)
        bounded = np.isin(self.feature_units, ["sin", "cos"])
        mean[bounded], std[bounded] = 0.0, 1.0
        contact = np.array(self.feature_units) == "contact"
        std[contact] = np.maximum(std[contact], _CONTACT_STD)
        change = change_scale(spec.state, ((before, after) for before, _, after in images.parts()))
        scaling = [torch.tensor(v, dtype=torch.float32) for v in (mean, std, *change)]
        if keep_function:
            self._absorb(*scaling)
        for name, value in zip(SCALING, scaling, strict=True):
            getattr(self, name).copy_(value)

    def _absorb(self, mean: Tensor, std: Tensor, delta_mean: Tensor, delta_std: Tensor) -> None:
        """Compensate a new scaling in the first and last layer. Jumps are limited: there the old scale was a bound."""

        def cut(ratio: Tensor) -> Tensor:
            return ratio.clamp(1 / _RESCALE_LIMIT, _RESCALE_LIMIT)

        def cut_shift(shift: Tensor) -> Tensor:
            return shift.clamp(-_RESCALE_LIMIT, _RESCALE_LIMIT)

        shift = cut_shift((mean - self.feature_mean) / self.feature_std)
        self.biases[0] += torch.einsum("f,efh->eh", shift, self.weights[0])[:, None]
        self.weights[0] *= cut(std / self.feature_std)[:, None]
        before, change = self._of_outputs(self.delta_std), self._of_outputs(delta_std)
        self.weights[-1] *= cut(before / change)
        self.biases[-1] *= cut(before / change)
        self.biases[-1] += cut_shift(self._of_outputs(self.delta_mean - delta_mean) / change)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights and scaling; raises ModelError naming what does not fit."""
        own = self.state_dict()
        wrong = [f"{name} is missing" for name in own if name not in weights]
        wrong += [f"{name} is unknown" for name in weights if name not in own]
        wrong += [
            f"{name} has shape {tuple(weights[name].shape)}, not {tuple(value.shape)}"
            for name, value in own.items()
            if name in weights and weights[name].shape != value.shape
        ]
        if wrong:
            raise ModelError(f"these weights belong to another network: {'; '.join(wrong[:5])}")
        if bool(weights["error_input"]) != (self.action_input == "error"):
            raise ModelError(f"these weights were trained with another action_input than {self.action_input!r}")
        self.load_state_dict(dict(weights))

    @property
    def state_std(self) -> Tensor:
        """Scale [S] of each state entry in its unit; for a periodic angle the scale of its change."""
        std = self.delta_std.clone()
        std[self.linear] = self.feature_std[: len(self.linear)]
        return self.turns.alike(std)

    def predictor(self) -> Predictor:
        """This network as a NumPy function (state [E, N, S], action [N, A]) -> [E, N, S]."""

        def predict(state: Array, action: Array) -> Array:
            with torch.no_grad():
                device = self.delta_std.device
                inputs = (torch.tensor(v, dtype=torch.float32, device=device) for v in (state, action))
                after: Array = self(*inputs).cpu().numpy().astype(np.float64)
                return after

        return predict


@torch.no_grad()
def initialise(weights: Iterable[nn.Parameter], biases: Iterable[nn.Parameter], seed: int) -> None:
    """Uniform +-1/sqrt(inputs); each member has its own stream, independent of the ensemble's size.

    Args:
        weights: of each layer [E, inputs, outputs].
        biases: of each layer [E, 1, outputs].
        seed: of all members.
    """
    layers = list(zip(weights, biases, strict=True))
    for member in range(len(layers[0][0])):
        source = torch.Generator().manual_seed(stream_seed(seed, member))
        for weight, bias in layers:
            bound = 1 / math.sqrt(weight.shape[1])
            weight[member].uniform_(-bound, bound, generator=source)
            bias[member].uniform_(-bound, bound, generator=source)


def stream_seed(*parts: int) -> int:
    """Seed of an independent random stream for each tuple of numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
