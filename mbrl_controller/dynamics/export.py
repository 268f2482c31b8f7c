# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Exports an ensemble as one self-contained ONNX file, checked against the network before it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.onnx_graph import RUNTIME_DOMAIN, RUNTIME_OPSET, NetworkGraph
from mbrl_controller.dynamics.quantisation import quantise
from mbrl_controller.models.golden_samples import INT8_RMS_TOLERANCE, GoldenSamples
from mbrl_controller.models.onnx_session import open_session
from mbrl_controller.models.spec import ModelSpec, Precision
from mbrl_controller.tasks.spaces import Array

# Old enough for the ONNX Runtime of every ROS 2 distribution since Humble (1.7 reads IR 7 and opset 13).
OPSET, IR_VERSION = 13, 7

PROBE_ROWS = 32

# Largest difference from the torch network, in units of one step's change (delta_scale): rounding only. For int8 see
# INT8_RMS_TOLERANCE: its root mean square, because single hidden units may round the other way.
FP32_TOLERANCE = 1e-3


def export_onnx(
    model: DynamicsEnsemble,
    spec: ModelSpec,
    path: Path,
    *,
    precision: Precision = "fp32",
    samples: tuple[Array, Array] | None = None,
) -> ModelSpec:
    """Write `model` to `path`; the same weights, spec and samples give the same bytes.

    Args:
        model: Network to export.
        spec: Its description.
        path: File to write. Nothing is written where ONNX Runtime and torch disagree on the samples (ModelError).
        precision: Of the weights and activations.
        samples: Real data (state [N, S], action [N, A]), from which int8 also takes the ranges of its layers;
            default: states around the training mean.

    Returns:
        `spec` with the model's size, precision and `delta_scale` filled in.
    """
    samples = samples or made_up(model)
    spec = spec.model_copy(
        update={
            "ensemble_size": model.size,
            "hidden": model.hidden,
            "precision": precision,
            "delta_scale": tuple(float(v) for v in model.delta_std),
        }
    )
    quantised = quantise(model, *samples) if precision == "int8" else None
    opsets = [helper.make_opsetid("", OPSET)]
    if quantised is not None:
        opsets.append(helper.make_opsetid(RUNTIME_DOMAIN, RUNTIME_OPSET))
    graph = NetworkGraph(model, spec, quantised).build()
    proto = helper.make_model(graph, producer_name="mbrl_controller", opset_imports=opsets, ir_version=IR_VERSION)
    metadata = spec.to_metadata()
    if precision == "int8":
        metadata |= _probe(model, *samples).to_metadata()
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(proto, full_check=True)
    content = proto.SerializeToString(deterministic=True)
    check_export(content, model, samples, precision, str(path))
    write_atomically(Path(path), content)
    return spec


def check_export(
    content: bytes, model: DynamicsEnsemble, samples: tuple[Array, Array], precision: Precision, where: str
) -> float:
    """Compare a serialised graph with the network; raises ModelError beyond the tolerance.

    Args:
        content: Serialised ONNX model.
        model: The network.
        samples: (state [N, S], action [N, A]).
        precision: Of the graph.
        where: Names the file in an error.

    Returns:
        Difference in units of `delta_scale`: the largest for fp32, the root mean square for int8.
    """
    session = open_session(content)
    action = np.ascontiguousarray(samples[1], dtype=np.float32)
    state = np.repeat(np.asarray(samples[0], dtype=np.float32)[None], model.size, axis=0)
    (exported,) = session.run(["next_state"], {"state": state, "action": action})
    difference = (
        np.abs(exported - model.predictor()(state.astype(float), action.astype(float))) / model.delta_std.cpu().numpy()
    )
    if precision == "fp32":
        # A state far from zero has coarse float32 steps, which are not the export's fault.
        steps = np.spacing(np.abs(state)) / model.delta_std.cpu().numpy()
        worst, allowed = float((difference - 4 * steps).max()), FP32_TOLERANCE
    else:
        worst, allowed = float(np.sqrt(np.mean(np.square(difference)))), INT8_RMS_TOLERANCE
    if not worst <= allowed:
        raise ModelError(
            f"{where}: the exported {precision} graph differs from the network by {worst:.2g} of one step's change; "
            f"allowed: {allowed}"
        )
    return worst


def _probe(model: DynamicsEnsemble, state: Array, action: Array) -> GoldenSamples:
    """Predictions for a few rows of real data, to be repeated when the file is loaded."""
    rows = np.unique(np.linspace(0, len(state) - 1, PROBE_ROWS).astype(int))
    state, action = state[rows].astype(np.float32), action[rows].astype(np.float32)
    members = np.repeat(state[None], model.size, axis=0)
    return GoldenSamples(state, action, model.predictor()(members, action).astype(np.float32))


def made_up(model: DynamicsEnsemble) -> tuple[Array, Array]:
    """States and targets around the training mean."""
    rng = np.random.default_rng(0)
    S, A = len(model.delta_std), len(model.lower)
    state = np.zeros((256, S))
    linear = model.linear.numpy()
    state[:, linear] = model.feature_mean[: len(linear)].numpy()
    state += rng.normal(size=state.shape) * model.state_std.numpy()
    return state, rng.uniform(model.lower.numpy(), model.upper.numpy(), (256, A))
