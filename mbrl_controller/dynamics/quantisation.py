# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Quantises weights and activations to 8 bit with little error.

Scales are fixed from real data. Rounded weights shift a unit's mean output, because activations are not negative; each
bias is corrected by that shift. A shift matters for control: it adds up over the horizon. Bias correction and
equalisation are from Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019;
here the shift is measured on data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.tasks.spaces import Array

INPUT_ZERO = 128  # level of zero among the 256 between the clamps
# A hidden unit of small weights is scaled up by 1 / MIN_EQUALISATION at most: its activations share the layer's range.
MIN_EQUALISATION = 0.5
# One scale for all columns of a hidden layer makes a plan 7 % faster than one per column. It is used if the error stays
# below this: at .02 (Baoding) control was as good as in 32 bit, at .033 (valve) a little worse.
MAX_PER_LAYER_RMS = 0.03


@dataclass(frozen=True)
class QuantisedLayer:
    """y = (x - zero) step * weight * weight_step + bias, with x [N, I] the 256 levels of the layer's input."""

    weight: NDArray[np.int8]  # [I, O]
    weight_step: NDArray[np.float32]  # [O], or [] for all columns
    bias: NDArray[np.float32]  # [O]
    output_step: float  # of the levels passed to the next layer, from zero: clipping negatives is the ReLU


@torch.no_grad()
def quantise(model: DynamicsEnsemble, state: Array, action: Array) -> tuple[float, list[list[QuantisedLayer]]]:
    """The step between input levels, and each member's layers, from real states [N, S] and targets [N, A].

    A layer's range must cover what a planner evaluates, not only the data: candidates are wilder than executed actions,
    and predictions start from predictions. So the ranges come from three-step rollouts with the data's actions and with
    targets drawn over the joints' whole range.
    """
    layers, ranges = _equalised(model, _ranges(model, state, action))
    x = model.scaled_features(_tensor(model, state).expand(model.size, -1, -1), _tensor(model, action)).double()
    step = model.input_clamp / 127
    scale, _ = model.output_scaling()
    members, error = _rounded(layers, ranges, x, step, scale, per_column=False)
    if error > MAX_PER_LAYER_RMS:
        members, _ = _rounded(layers, ranges, x, step, scale, per_column=True)
    return step, members


Layers = list[tuple[Tensor, Tensor]]  # weight [E, I, O] and bias [E, 1, O], float64


def _rounded(
    layers: Layers, ranges: list[Tensor], x: Tensor, step: float, scale: Tensor, per_column: bool
) -> tuple[list[list[QuantisedLayer]], float]:
    """Quantise the layers of each member.

    Args:
        layers: Equalised layers.
        ranges: Largest activation [E] of each hidden layer.
        x: Inputs [E, N, F] on which biases are corrected.
        step: Between input levels.
        scale: Unit of the outputs' error.
        per_column: One weight scale per column instead of one per hidden layer.

    Returns:
        The layers, and the root mean square error of the outputs in units of `scale`.
    """
    rounded = ((torch.round(x / step) + INPUT_ZERO).clamp(0, 255) - INPUT_ZERO) * step
    members: list[list[QuantisedLayer]] = [[] for _ in x]
    last = len(layers) - 1
    error = 0.0
    for i, (weight, bias) in enumerate(layers):
        # The full 8 bit: with 7, which no processor can overflow, the rounding error is 1.5 times as large. A processor
        # on which 8 bit overflow is detected when the file is loaded (models/golden_samples.py).
        columns = per_column or i == last
        weight_step = (weight.abs().amax(1 if columns else (1, 2), keepdim=True) / 127).clamp(min=1e-30)
        integer = torch.round(weight / weight_step)
        exact, found = torch.bmm(x, weight) + bias, torch.bmm(rounded, integer * weight_step) + bias
        shift = (exact - found).mean(1, keepdim=True)
        bias, found = bias + shift, found + shift
        for e, quantised in enumerate(members):
            quantised.append(
                QuantisedLayer(
                    weight=integer[e].cpu().numpy().astype(np.int8),
                    weight_step=weight_step[e].reshape(-1 if columns else ()).cpu().numpy().astype(np.float32),
                    bias=bias[e, 0].cpu().numpy().astype(np.float32),
                    output_step=float(ranges[i][e]) / 255 if i < last else 0.0,
                )
            )
        if i < last:
            unit = (ranges[i] / 255)[:, None, None]
            x, rounded = exact.relu(), torch.round(found / unit).clamp(0, 255) * unit
        else:
            error = float(((found - exact) / scale).square().mean().sqrt())
    return members, error


def _equalised(model: DynamicsEnsemble, ranges: list[Tensor]) -> tuple[Layers, list[Tensor]]:
    """The same function with similar largest weights in all hidden columns, and each layer's range [E].

    A ReLU unit may be scaled by 1 / c and its readers by c. The output scaling becomes part of the last layer.
    """
    layers = [(w.detach().double(), b.detach().double()) for w, b in zip(model.weights, model.biases, strict=True)]
    weight, bias = layers[-1]
    scale, mean = model.output_scaling()
    layers[-1] = weight * scale, bias * scale + mean
    largest = []
    for i, range_of_units in enumerate(ranges):
        weight, bias = layers[i]
        column = weight.abs().amax(1, keepdim=True)
        factor = (column / column.amax(2, keepdim=True).clamp(min=1e-30)).clamp(min=MIN_EQUALISATION)
        layers[i] = weight / factor, bias / factor
        layers[i + 1] = layers[i + 1][0] * factor.transpose(1, 2), layers[i + 1][1]
        largest.append((range_of_units / factor[:, 0]).amax(1).clamp(min=1e-6))
    return layers, largest


def _ranges(model: DynamicsEnsemble, state: Array, action: Array) -> list[Tensor]:
    """The largest value [E, W] of each unit of each hidden layer."""
    rng = np.random.default_rng(0)
    ranges = [torch.zeros(model.size, width, dtype=torch.float64, device=model.delta_std.device)
              for width in model.hidden]  # fmt: skip
    drawn = rng.uniform(model.lower.cpu().numpy(), model.upper.cpu().numpy(), (len(state), len(model.lower)))
    for targets in (action, drawn):
        target = _tensor(model, targets)
        now = _tensor(model, state).expand(model.size, -1, -1)
        for _ in range(3):
            for i, hidden in enumerate(model.hidden_activations(now, target)):
                ranges[i] = torch.maximum(ranges[i], hidden.amax(1).double())
            now = model(now, target)
    return ranges


def _tensor(model: DynamicsEnsemble, values: Array) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=model.delta_std.device)
