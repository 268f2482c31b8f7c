# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An ensemble as one self-contained ONNX file, checked against the network it came from before it gets its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.dynamics.contacts import ContactLayout, contact_features
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.quantisation import INPUT_ZERO, QuantisedLayer, quantise
from mbrl_controller.models.golden_samples import INT8_RMS_TOLERANCE, Probe
from mbrl_controller.models.onnx_session import open_session
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.spaces import Array

Precision = Literal["fp32", "int8"]

# Old enough for the ONNX Runtime of every ROS 2 distribution since Humble (1.7 reads IR 7 and opset 13).
OPSET, IR_VERSION = 13, 7

PROBE_ROWS = 32

# ONNX Runtime's own operators (domain com.microsoft), in the 8-bit graph only.
RUNTIME_DOMAIN, RUNTIME_OPSET = "com.microsoft", 1

FED_TARGET = "fed_target"  # this tensor is in the graphs of networks that are fed the target itself

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
    """Write `model` to `path` and return its spec with the model's size, precision and `delta_scale` filled in.

    `samples` = (state [N, S], action [N, A]): real data on which ONNX Runtime must agree with torch, else ModelError
    and no file, and from which int8 takes the ranges of its layers; without them, states around the training mean.
    The same weights, spec and samples give the same bytes.
    """
    samples = samples or _made_up(model)
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
    graph = _Graph(model, spec, quantised).build()
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
    """Difference between a serialised graph and the network on samples, in units of `delta_scale`.

    The largest for fp32, the root mean square for int8; raises ModelError beyond the tolerance.
    """
    session = open_session(content)
    action = np.ascontiguousarray(samples[1], dtype=np.float32)
    state = np.repeat(np.asarray(samples[0], dtype=np.float32)[None], model.size, axis=0)
    (ours,) = session.run(["next_state"], {"state": state, "action": action})
    difference = (
        np.abs(ours - model.predictor()(state.astype(float), action.astype(float))) / model.delta_std.cpu().numpy()
    )
    if precision == "fp32":
        # A state far from zero has coarse float32 steps: those are no fault of the export.
        steps = np.spacing(np.abs(state)) / model.delta_std.cpu().numpy()
        worst, allowed = float((difference - 4 * steps).max()), FP32_TOLERANCE
    else:
        worst, allowed = float(np.sqrt(np.mean(np.square(difference)))), INT8_RMS_TOLERANCE
    if not worst <= allowed:
        raise ModelError(
            f"{where}: the exported {precision} graph differs from the network by {worst:.2g} of one step's change, "
            f"allowed are {allowed}"
        )
    return worst


def _probe(model: DynamicsEnsemble, state: Array, action: Array) -> Probe:
    """Predictions of the network for a few rows of real data, to be repeated where the file is loaded."""
    rows = np.unique(np.linspace(0, len(state) - 1, PROBE_ROWS).astype(int))
    state, action = state[rows].astype(np.float32), action[rows].astype(np.float32)
    members = np.repeat(state[None], model.size, axis=0)
    return Probe(state, action, model.predictor()(members, action).astype(np.float32))


def _made_up(model: DynamicsEnsemble) -> tuple[Array, Array]:
    """States and targets around the training mean."""
    rng = np.random.default_rng(0)
    S, A = len(model.delta_std), len(model.lower)
    state = np.zeros((256, S))
    linear = model.linear.numpy()
    state[:, linear] = model.feature_mean[: len(linear)].numpy()
    state += rng.normal(size=state.shape) * model.state_std.numpy()
    return state, rng.uniform(model.lower.numpy(), model.upper.numpy(), (256, A))


class _Graph:
    """Nodes of the graph. Each member has its own chain of matrix products: ONNX Runtime prepacks those, which is
    faster than one batched MatMul.

    `quantised` (dynamics/quantisation.py): the products are of 8-bit integers. Scales are fixed, not found anew from
    each batch: no pass over the numbers to find their range, no candidate that coarsens the others, and what lies
    outside is cut, which does the clamp of the inputs and the ReLU on the way.
    """

    def __init__(
        self, model: DynamicsEnsemble, spec: ModelSpec, quantised: tuple[float, list[list[QuantisedLayer]]] | None
    ) -> None:
        self.model, self.spec, self.quantised = model, spec, quantised
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.GraphProto:
        model, spec = self.model, self.spec
        E, S, A = model.size, len(spec.state_names), len(spec.action_names)
        features = self._scaled(self._features())
        rows = self._add("Reshape", features, self._constant("rows", np.array([-1, len(model.feature_mean)])))
        inputs = tuple(f"member{e}_input" for e in range(E))
        self._add("Split", rows, output=inputs, axis=0)  # rows and not the first axis: no copy to drop it
        members = [self._member(x, e) for e, x in enumerate(inputs)]
        stacked = self._add("Concat", *members, axis=0)
        change = self._add("Reshape", stacked, self._constant("members_first", np.array([E, -1, S])))
        self._add("Add", "state", change, output="next_state")

        def tensor(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        return helper.make_graph(
            self.nodes,
            "dynamics_ensemble",
            [tensor("state", [E, "N", S]), tensor("action", ["N", A])],
            [tensor("next_state", [E, "N", S])],
            self.constants,
        )

    def _features(self) -> str:
        """The same as DynamicsEnsemble.features: [E, N, F]."""
        model = self.model
        position = self._pick("joint", model.joint.numpy())
        lower, upper, reach = (getattr(model, name).numpy() for name in ("lower", "upper", "reach"))
        target = self._between("target_limit", "action", lower, upper)  # [N, A]: before it meets the members' states
        push = self._between("reach", self._add("Sub", target, position), -reach, reach)
        fed = self._add("Add", position, push, output=FED_TARGET) if model.action_input == "target" else push
        parts = ["state", fed]
        if len(model.angle):
            angle = self._pick("angle", model.angle.numpy())
            sine, cosine = self._add("Sin", angle), self._add("Cos", angle)
            parts = [self._pick("linear", model.linear.numpy()), sine, cosine, fed]
        if model.contacts is not None:
            parts.append(contact_features(_Contacts(self, model.contacts.layout), model.contacts.layout, "state"))
        return self._add("Concat", *parts, axis=2)

    def _scaled(self, features: str) -> str:
        """Network inputs, clamped."""
        model = self.model
        centred = self._add("Sub", features, self._float("feature_mean", model.feature_mean))
        scaled = self._add("Div", centred, self._float("feature_std", model.feature_std))
        if self.quantised is not None:
            return self._levels(scaled, "input", self.quantised[0], INPUT_ZERO)
        clamp = np.array([model.input_clamp])
        return self._between("input", scaled, -clamp, clamp)

    def _member(self, x: str, e: int) -> str:
        """Change [N, S] in physical units: the output scaling is part of the last layer."""
        if self.quantised is not None:
            return self._member_in_8_bit(x, self.quantised[1][e], f"member{e}")
        model = self.model
        last = len(model.weights) - 1
        for i, (weights, biases) in enumerate(zip(model.weights, model.biases, strict=True)):
            weight, bias = weights[e].detach().double(), biases[e, 0].detach().double()
            if i == last:
                scale, mean = model.delta_std.double(), model.delta_mean.double()
                weight, bias = weight * scale, bias * scale + mean
            name = f"member{e}_layer{i}"
            x = self._add("Gemm", x, self._float(f"{name}_weight", weight), self._float(f"{name}_bias", bias))
            if i < last:
                x = self._add("Relu", x)
        return x

    def _member_in_8_bit(self, x: str, layers: list[QuantisedLayer], member: str) -> str:
        source = "input"
        for i, layer in enumerate(layers):
            name = f"{member}_layer{i}"
            x = self._add(
                "MatMulIntegerToFloat",
                x,
                self._constant(f"{name}_weight", layer.weight),
                f"{source}_step",
                self._constant(f"{name}_weight_step", layer.weight_step),
                f"{source}_zero",
                "",
                self._constant(f"{name}_bias", layer.bias),
                domain=RUNTIME_DOMAIN,
            )
            if i < len(layers) - 1:
                x, source = self._levels(x, name, layer.output_step, 0), name  # zero is the least: this is the ReLU too
        return x

    def _levels(self, x: str, name: str, step: float, zero: int) -> str:
        """x in steps of `step` from `zero`, cut to 0 ... 255."""
        unit = self._constant(f"{name}_step", np.float32(step))
        return self._add("QuantizeLinear", x, unit, self._constant(f"{name}_zero", np.uint8(zero)))

    def _between(self, name: str, x: str, low: Array, high: Array) -> str:
        """x cut to [low, high], vectors or the same for all entries (Clip takes scalars only, and is faster)."""
        if (low == low[0]).all() and (high == high[0]).all():
            bounds = (self._constant(f"{name}_{k}", np.float32(v[0])) for k, v in (("low", low), ("high", high)))
            return self._add("Clip", x, *bounds)
        return self._add("Min", self._add("Max", x, self._float(f"{name}_low", low)), self._float(f"{name}_high", high))

    def _pick(self, name: str, indices: NDArray[np.int64]) -> str:
        """Entries of the state: a slice where they are neighbours, which is a plain copy."""
        if len(indices) and (np.diff(indices) == 1).all():
            bounds = (("from", indices[0]), ("to", indices[-1] + 1), ("axis", 2))
            return self._add("Slice", "state", *(self._constant(f"{name}_{k}", np.array([v])) for k, v in bounds))
        return self._add("Gather", "state", self._constant(name, indices), axis=2)

    def _float(self, name: str, value: torch.Tensor | Array) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        return self._constant(name, array.astype(np.float32))

    def _constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _add(self, kind: str, *inputs: str, output: str | tuple[str, ...] = "", **attributes: Any) -> str:
        outputs = output if isinstance(output, tuple) else (output or f"v{len(self.nodes)}",)
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=f"n{len(self.nodes)}", **attributes))
        return outputs[0]


class _Contacts:
    """The operations of contact features as nodes of a graph, for the states [E, N, S]; arrays are their names."""

    def __init__(self, graph: _Graph, layout: ContactLayout) -> None:
        self.graph, self.layout = graph, layout
        self.known: set[str] = set()

    def columns(self, state: str) -> str:
        states = self._given("state_rows", np.array([-1, len(self.graph.spec.state_names)]))
        return self.graph._add("Transpose", self.graph._add("Reshape", state, states), perm=[1, 0])

    def rows(self, features: str, state: str) -> str:
        states_first = self.graph._add("Transpose", features, perm=[2, 0, 1])
        shape = self._given("contact_rows", np.array([self.graph.model.size, -1, self.layout.size]))
        return self.graph._add("Reshape", states_first, shape)

    def pick(self, x: str, indices: str) -> str:
        return self.graph._add("Gather", x, self.constant(indices), axis=0)

    def linear(self, matrix: str, x: str) -> str:
        return self.graph._add("MatMul", self.constant(matrix), x)

    def constant(self, name: str) -> str:
        return self._given(name, self.layout.constants[name])

    def split(self, x: str, sizes: list[int], axis: int) -> list[str]:
        outputs = tuple(f"v{len(self.graph.nodes)}_{i}" for i in range(len(sizes)))
        lengths = self._given(f"split_{'_'.join(map(str, sizes))}", np.array(sizes))
        self.graph._add("Split", x, lengths, output=outputs, axis=axis)
        return list(outputs)

    def join(self, parts: list[str], axis: int) -> str:
        return self.graph._add("Concat", *parts, axis=axis)

    def add(self, a: str, b: str) -> str:
        return self.graph._add("Add", a, b)

    def sub(self, a: str, b: str) -> str:
        return self.graph._add("Sub", a, b)

    def mul(self, a: str, b: str) -> str:
        return self.graph._add("Mul", a, b)

    def div(self, a: str, b: str) -> str:
        return self.graph._add("Div", a, b)

    def least(self, a: str, b: str) -> str:
        return self.graph._add("Min", a, b)

    def most(self, a: str, b: str) -> str:
        return self.graph._add("Max", a, b)

    def sin(self, x: str) -> str:
        return self.graph._add("Sin", x)

    def cos(self, x: str) -> str:
        return self.graph._add("Cos", x)

    def exp(self, x: str) -> str:
        return self.graph._add("Exp", x)

    def sqrt(self, x: str) -> str:
        return self.graph._add("Sqrt", x)

    def _given(self, name: str, value: NDArray[Any]) -> str:
        if name not in self.known:
            self.known.add(name)
            self.graph._constant(name, value)
        return name
