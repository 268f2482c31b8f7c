# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The ONNX graph of an ensemble: features, scaling, and each member's layers in 32 or 8 bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mbrl_controller.dynamics.contacts import contact_features
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.onnx_nodes import ContactNodes, Node, Nodes
from mbrl_controller.dynamics.quantisation import INPUT_ZERO, QuantisedLayer
from mbrl_controller.dynamics.turning import next_state
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.spaces import Array

# ONNX Runtime's own operators (domain com.microsoft), in the 8-bit graph only.
RUNTIME_DOMAIN, RUNTIME_OPSET = "com.microsoft", 1

TARGET_INPUT = "fed_target"  # tensor in the graphs of networks with action_input="target"


class NetworkGraph:
    """Builds the graph of an ensemble; values are tensor names.

    Each member has its own chain of matrix products: ONNX Runtime prepacks those, which is faster than one batched
    MatMul. With `quantised` (dynamics/quantisation.py) the products are of 8-bit integers. Their scales are fixed, not
    computed per batch: that saves a pass over the numbers, one candidate does not coarsen the others, and clipping to
    the range does the clamp of the inputs and the ReLU on the way.
    """

    def __init__(
        self, model: DynamicsEnsemble, spec: ModelSpec, quantised: tuple[float, list[list[QuantisedLayer]]] | None
    ) -> None:
        self.model, self.spec, self.quantised = model, spec, quantised
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.GraphProto:
        """Inputs state [E, N, S] and action [N, A]; output next_state [E, N, S]."""
        model, spec = self.model, self.spec
        E, S, A = model.size, len(spec.state_names), len(spec.action_names)
        features = self._scaled(self._features())
        rows = self.add("Reshape", features, self.constant("rows", np.array([-1, len(model.feature_mean)])))
        inputs = tuple(f"member{e}_input" for e in range(E))
        self.add("Split", rows, output=inputs, axis=0)  # along the rows: dropping a first axis would copy
        members = [self._member(x, e) for e, x in enumerate(inputs)]
        stacked = self.add("Concat", *members, axis=0)
        outputs = self.add("Reshape", stacked, self.constant("members_first", np.array([E, -1, model.turns.outputs])))
        if model.turning is None:
            self.add("Add", "state", outputs, output="next_state")
        else:
            nodes = Nodes(self, model.turns.constants)
            parts = next_state(nodes, model.turns, Node("state", self), Node(outputs, self))
            self.add("Concat", *(part.name for part in parts), axis=2, output="next_state")

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
        """DynamicsEnsemble.features: [E, N, F]."""
        model = self.model
        position = self._entries("joint", model.joint.numpy())
        lower, upper, reach = (getattr(model, name).numpy() for name in ("lower", "upper", "reach"))
        target = self._clip("target_limit", "action", lower, upper)  # [N, A]: before the members' states come in
        push = self._clip("reach", self.add("Sub", target, position), -reach, reach)
        fed = self.add("Add", position, push, output=TARGET_INPUT) if model.action_input == "target" else push
        parts = ["state", fed]
        if len(model.angle):
            angle = self._entries("angle", model.angle.numpy())
            sine, cosine = self.add("Sin", angle), self.add("Cos", angle)
            parts = [self._entries("linear", model.linear.numpy()), sine, cosine, fed]
        if model.contacts is not None:
            contacts = ContactNodes(self, model.contacts.layout, model.size, len(self.spec.state_names))
            parts.append(contact_features(contacts, model.contacts.layout, Node("state", self)).name)
        return self.add("Concat", *parts, axis=2)

    def _scaled(self, features: str) -> str:
        """Scaled and clamped network inputs."""
        model = self.model
        centred = self.add("Sub", features, self._float("feature_mean", model.feature_mean))
        scaled = self.add("Div", centred, self._float("feature_std", model.feature_std))
        if self.quantised is not None:
            return self._levels(scaled, "input", self.quantised[0], INPUT_ZERO)
        clamp = np.array([model.input_clamp])
        return self._clip("input", scaled, -clamp, clamp)

    def _member(self, x: str, e: int) -> str:
        """Change [N, S] of member `e` in physical units: the last layer includes the output scaling."""
        if self.quantised is not None:
            return self._member_in_8_bit(x, self.quantised[1][e], f"member{e}")
        model = self.model
        last = len(model.weights) - 1
        for i, (weights, biases) in enumerate(zip(model.weights, model.biases, strict=True)):
            weight, bias = weights[e].detach().double(), biases[e, 0].detach().double()
            if i == last:
                scale, mean = (values.double() for values in model.output_scaling())
                weight, bias = weight * scale, bias * scale + mean
            name = f"member{e}_layer{i}"
            x = self.add("Gemm", x, self._float(f"{name}_weight", weight), self._float(f"{name}_bias", bias))
            if i < last:
                x = self.add("Relu", x)
        return x

    def _member_in_8_bit(self, x: str, layers: list[QuantisedLayer], member: str) -> str:
        source = "input"
        for i, layer in enumerate(layers):
            name = f"{member}_layer{i}"
            x = self.add(
                "MatMulIntegerToFloat",
                x,
                self.constant(f"{name}_weight", layer.weight),
                f"{source}_step",
                self.constant(f"{name}_weight_step", layer.weight_step),
                f"{source}_zero",
                "",
                self.constant(f"{name}_bias", layer.bias),
                domain=RUNTIME_DOMAIN,
            )
            if i < len(layers) - 1:
                x, source = self._levels(x, name, layer.output_step, 0), name  # level 0 is zero: includes the ReLU
        return x

    def _levels(self, x: str, name: str, step: float, zero: int) -> str:
        """x in steps of `step` from `zero`, clipped to 0 ... 255."""
        unit = self.constant(f"{name}_step", np.float32(step))
        return self.add("QuantizeLinear", x, unit, self.constant(f"{name}_zero", np.uint8(zero)))

    def _clip(self, name: str, x: str, low: Array, high: Array) -> str:
        """x clipped to [low, high]. Clip is faster, but takes only scalar bounds."""
        if (low == low[0]).all() and (high == high[0]).all():
            bounds = (self.constant(f"{name}_{k}", np.float32(v[0])) for k, v in (("low", low), ("high", high)))
            return self.add("Clip", x, *bounds)
        return self.add("Min", self.add("Max", x, self._float(f"{name}_low", low)), self._float(f"{name}_high", high))

    def _entries(self, name: str, indices: NDArray[np.int64]) -> str:
        """Entries of the state; neighbours as a slice, which is a plain copy."""
        if len(indices) and (np.diff(indices) == 1).all():
            bounds = (("from", indices[0]), ("to", indices[-1] + 1), ("axis", 2))
            return self.add("Slice", "state", *(self.constant(f"{name}_{k}", np.array([v])) for k, v in bounds))
        return self.add("Gather", "state", self.constant(name, indices), axis=2)

    def _float(self, name: str, value: torch.Tensor | Array) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        return self.constant(name, array.astype(np.float32))

    @property
    def length(self) -> int:
        """Number of nodes so far."""
        return len(self.nodes)

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a constant."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, output: str | tuple[str, ...] = "", **attributes: Any) -> str:
        """Add a node; returns its (first) output."""
        outputs = output if isinstance(output, tuple) else (output or f"v{len(self.nodes)}",)
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=f"n{len(self.nodes)}", **attributes))
        return outputs[0]
