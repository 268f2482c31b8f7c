# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Writes a model file anew, in the graph that this release writes: the same networks, and what got faster since."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import IR_VERSION, OPSET, made_up
from mbrl_controller.dynamics.import_onnx import network_of
from mbrl_controller.dynamics.onnx_graph import RUNTIME_DOMAIN, RUNTIME_OPSET, NetworkGraph
from mbrl_controller.dynamics.quantisation import QuantisedLayer
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.spec import ModelSpec

# Root mean square difference from the old file, in units of one step's change: rounding, which in 8 bit lifts single
# units by a level.
SAME = {"fp32": 1e-5, "int8": 1e-2}


def rewritten(file: ModelFile, fp32: ModelFile | None = None, **changes: str) -> ModelFile:
    """`file` in today's graph, under the same path; the description stays as it is.

    Args:
        file: a model file of any age.
        fp32: of the same version; needed for an 8-bit file, whose graph does not have all of the network.
        changes: to the description, such as its `version`.

    Raises:
        ModelError: it was not written by this package, or what is written predicts otherwise.
    """
    proto = onnx.load_model_from_string(file.content)
    old = OnnxEnsemble.load(file)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    spec = old.spec.model_copy(update=changes)
    network = network_of(fp32 or file, old.spec)
    quantised = _quantised(proto, old.spec, file) if spec.precision == "int8" else None
    opsets = [helper.make_opsetid("", OPSET)]
    if quantised is not None:
        opsets.append(helper.make_opsetid(RUNTIME_DOMAIN, RUNTIME_OPSET))
    graph = NetworkGraph(network, spec, quantised).build()
    new = helper.make_model(graph, producer_name="mbrl_controller", opset_imports=opsets, ir_version=IR_VERSION)
    for key, value in {**metadata, **spec.to_metadata()}.items():
        new.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(new, full_check=True)
    found = ModelFile.of(file.path, new.SerializeToString(deterministic=True))
    _check_same(old, OnnxEnsemble.load(found), network)
    return found


def _quantised(proto: onnx.ModelProto, spec: ModelSpec, file: ModelFile) -> tuple[float, list[list[QuantisedLayer]]]:
    """What `quantise` gave for this file."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    last = len(spec.hidden)

    def layer(name: str, i: int) -> QuantisedLayer:
        weight, weight_step, bias = (constants[f"{name}_{part}"] for part in ("weight", "weight_step", "bias"))
        return QuantisedLayer(weight, weight_step, bias, 1.0 if i == last else float(constants[f"{name}_step"]))

    try:
        step = float(constants["input_step"])
        members = range(spec.ensemble_size)
        return step, [[layer(f"member{e}_layer{i}", i) for i in range(last + 1)] for e in members]
    except (KeyError, TypeError) as error:
        raise ModelError(f"{file.path}: it has no {error}: not an 8-bit file of this package") from error


def _check_same(old: OnnxEnsemble, new: OnnxEnsemble, network: DynamicsEnsemble) -> None:
    samples = made_up(network)
    difference = (new.predict(*samples) - old.predict(*samples)) / old.delta_scale
    rms = float(np.sqrt(np.mean(np.square(difference))))
    if not rms <= SAME[old.spec.precision]:
        raise ModelError(
            f"{old.path}: written anew, its predictions differ by {rms:.2g} of one step's change; allowed: "
            f"{SAME[old.spec.precision]}; it stays as it is"
        )
