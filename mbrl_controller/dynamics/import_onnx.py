# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Restores the network from its fp32 ONNX file: for a warm start, for torch, for the 8-bit file."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.onnx_graph import TARGET_INPUT
from mbrl_controller.dynamics.train_config import ActionInput
from mbrl_controller.dynamics.turning import TurnLayout
from mbrl_controller.dynamics.weights import Weights
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.onnx_validation import validate_onnx
from mbrl_controller.models.spec import ModelSpec

# By the number of subtractions in older graphs, which limit the target later: "error" subtracts the joint's position
# from the target; both inputs subtract the reach and the features' mean.
_SUBTRACTIONS: dict[int, ActionInput] = {2: "target", 3: "error"}
_CLAMP_NAMES = ("input_high", "high")  # the bound in the file, now and in older files


def weights_of(file: ModelFile) -> tuple[Weights, ActionInput]:
    """A `DynamicsEnsemble.state_dict` with the predictions of `file`, and its action input.

    In the file the last layer includes the output scaling. This divides by the spec's `delta_scale` again; the mean
    change stays in the bias. Raises ModelError for a file that is not an fp32 one from `export_onnx`.
    """
    proto, path = _parsed(file), file.path
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    spec = ModelSpec.from_metadata(metadata, str(path))
    if spec.precision != "fp32":
        raise ModelError(
            f"{path}: its weights are rounded to {spec.precision}; training from a version needs its fp32 file"
        )
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    action_input = _action_input(proto.graph)
    layers, scale, turns = len(spec.hidden) + 1, np.array(spec.delta_scale), TurnLayout(spec.state)
    if len(scale) != len(spec.state_names):
        raise ModelError(f"{path}: delta_scale has {len(scale)} entries, the state {len(spec.state_names)}")
    output_scale = scale[turns.entries] * turns.factors
    try:
        if action_input is None:
            raise KeyError("reach")
        weights: Weights = {
            "error_input": torch.tensor(action_input == "error"),
            "feature_mean": torch.tensor(constants["feature_mean"]),
            "feature_std": torch.tensor(constants["feature_std"]),
            "delta_mean": torch.zeros(len(scale)),
            "delta_std": torch.tensor(scale, dtype=torch.float32),
        }
        for i in range(layers):
            unit = output_scale if i == layers - 1 else 1.0
            weight, bias = (
                np.stack([constants[f"member{e}_layer{i}_{kind}"] / unit for e in range(spec.ensemble_size)])
                for kind in ("weight", "bias")
            )
            weights[f"weights.{i}"] = torch.tensor(weight, dtype=torch.float32)
            weights[f"biases.{i}"] = torch.tensor(bias[:, None], dtype=torch.float32)
    except KeyError as error:
        raise ModelError(f"{path}: it has no {error}: not a model exported by this version") from error
    return weights, action_input


def network_of(file: ModelFile, spec: ModelSpec) -> DynamicsEnsemble:
    """The network in an fp32 `file` described by `spec`, on the CPU; raises ModelError for any other file."""
    path = file.path
    try:
        weights, action_input = weights_of(file)
        constants = {t.name: t for t in _parsed(file).graph.initializer}
        clamp = next(numpy_helper.to_array(constants[name]).item() for name in _CLAMP_NAMES if name in constants)
    except (ValueError, StopIteration) as error:  # shapes that do not match; no clamp
        raise ModelError(f"{path}: not a model exported by this version: {error or _CLAMP_NAMES[0]}") from error
    network = DynamicsEnsemble(spec, action_input=action_input, input_clamp=clamp)
    try:
        network.load_weights(weights)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return network


def _parsed(file: ModelFile) -> onnx.ModelProto:
    validate_onnx(file.content, file.path)
    try:
        return onnx.load_model_from_string(file.content)
    except Exception as error:  # protobuf's
        raise ModelError(f"{file.path}: cannot be read: {error}") from error


def _action_input(graph: onnx.GraphProto) -> ActionInput | None:
    names = {tensor.name for tensor in graph.initializer}
    if "reach" in names:
        return _SUBTRACTIONS.get(sum(node.op_type == "Sub" for node in graph.node))
    if not any(name.startswith("reach_") for name in names):
        return None
    return "target" if any(TARGET_INPUT in node.output for node in graph.node) else "error"
