# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Restores a value network from its ONNX file, so that planning by gradient sees beyond its horizon."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.value_network import ValueNetwork
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.onnx_validation import validate_onnx

PARTS = ("weight", "bias")  # of a layer, in the file


def value_of(file: ModelFile) -> ValueNetwork:
    """The network in a file from `export_head`; raises ModelError for any other.

    In the file the last layer includes the output's scale; here that scale is 1.
    """
    validate_onnx(file.content, file.path)
    try:
        proto = onnx.load_model_from_string(file.content)
    except Exception as error:  # protobuf's
        raise ModelError(f"{file.path}: cannot be read: {error}") from error
    spec = HeadSpec.from_metadata({entry.key: entry.value for entry in proto.metadata_props}, str(file.path))
    network = ValueNetwork(spec)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    try:
        weights = {name: torch.tensor(constants[name]) for name in ("feature_mean", "feature_std")}
        for i in range(len(network.weights)):
            layer = [[constants[f"member{e}_layer{i}_{kind}"] for e in range(spec.members)] for kind in PARTS]
            weights[f"weights.{i}"] = torch.tensor(np.stack(layer[0]))
            weights[f"biases.{i}"] = torch.tensor(np.stack(layer[1])[:, None])
        network.load_state_dict({**network.state_dict(), **weights})
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{file.path}: not a value exported by this version: {error}") from error
    return network
