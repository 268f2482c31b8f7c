# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Exports a head's network as one self-contained ONNX file, checked against it before it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.dynamics.density_network import LOG_STD as DENSITY_LOG_STD
from mbrl_controller.dynamics.density_network import DensityNetwork
from mbrl_controller.dynamics.export import IR_VERSION, OPSET
from mbrl_controller.dynamics.head_network import INPUT_CLAMP, Encoder, HeadNetwork
from mbrl_controller.dynamics.policy_network import PolicyNetwork
from mbrl_controller.dynamics.scalar_network import ScalarNetwork
from mbrl_controller.dynamics.window_network import LOG_STD, WindowNetwork
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.onnx_density import OnnxDensity
from mbrl_controller.models.onnx_heads import HEADS

TOLERANCE = 1e-5  # in units of an answer's scale: rounding only
_PROBE_ROWS = 256


def export_head(network: Encoder, path: Path, spec: HeadSpec | None = None) -> ModelFile:
    """Write `network` to `path`; the same weights and spec give the same bytes.

    Args:
        network: to export.
        path: file to write. Nothing is written where ONNX Runtime and torch disagree (ModelError).
        spec: description of the file, where it has another version or time than the network's.

    Returns:
        The file, as it was written.
    """
    graph = _HeadGraph(network).build()
    opset = [helper.make_opsetid("", OPSET)]
    proto = helper.make_model(graph, producer_name="mbrl_controller", opset_imports=opset, ir_version=IR_VERSION)
    for key, value in (spec or network.spec).to_metadata().items():
        proto.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(proto, full_check=True)
    content = proto.SerializeToString(deterministic=True)
    file = ModelFile.of(path, content)
    _check(network, file)
    write_atomically(Path(path), content)
    return file


def _check(network: Encoder, file: ModelFile) -> None:
    """Compare a serialised graph with its network on made-up inputs; raises ModelError."""
    head = HEADS[network.spec.kind].load(file)
    made = {name: values.astype(np.float32) for name, values in _probe(network).items()}
    # A change is computed in the graph: from numbers that are rounded already.
    if "next_state" in made:
        made["state"] = made["next_state"] - made["change"]
        made["change"] = made["next_state"] - made["state"]
    elif "change" in made:
        made["last"] = made["first"] + made["change"]
        made["change"] = made["last"] - made["first"]
    shapes = head.input_shapes(network.spec)
    found = head.evaluate(*(made[name].reshape(_PROBE_ROWS, *shape) for name, shape in shapes.items()))
    expected = network.answers(*(made[block.name] for block in network.blocks))
    if isinstance(network, ScalarNetwork):
        found = found.T
    found = found.reshape(expected.shape)
    worst = float((np.abs(found - expected) / network.rounding_scale(expected)).max())
    if not worst <= TOLERANCE:
        raise ModelError(f"{file.path}: the exported graph differs from the network by {worst:.2g}, not {TOLERANCE}")


def _probe(network: Encoder) -> dict[str, NDArray[np.float64]]:
    """Made-up rows of each of the network's blocks, flat: as they are spread in its data, angles around 0."""
    rng = np.random.default_rng(0)
    mean, std = (value.double().numpy() for value in (network.feature_mean, network.feature_std))
    made, begin = {}, 0
    for block in network.blocks:
        values = rng.normal(size=(_PROBE_ROWS, len(block.linear) + len(block.angle)))
        part = slice(begin, begin + len(block.linear))
        values[:, block.linear] = values[:, block.linear] * std[part] + mean[part]
        made[block.name], begin = values, begin + block.width
    return made


class _HeadGraph:
    """Builds the graph; values are tensor names."""

    def __init__(self, network: Encoder) -> None:
        self.network, self.spec = network, network.spec
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.GraphProto:
        """Inputs and output as the class that loads it says."""
        spec, network = self.spec, self.network
        head, features = HEADS[spec.kind], self._scaled_features()
        if isinstance(network, DensityNetwork):
            self._density(network, features)
        elif isinstance(network, WindowNetwork):
            ends = [part for member in range(network.size) for part in self._mixture(network, features, member)]
            self._add("Concat", *ends, axis=1, output=head.OUTPUT)
        elif isinstance(network, PolicyNetwork):
            self._policy(network, self._layers(network, features, 0))
        elif isinstance(network, ScalarNetwork):
            ends = [self._layers(network, features, member) for member in range(network.size)]
            rows = self._add("Concat", *ends, axis=1) if len(ends) > 1 else ends[0]
            self._add("Transpose", rows, perm=[1, 0], output=head.OUTPUT)
        else:
            raise ModelError(f"a {spec.kind} has no graph")
        output = self._tensor(head.OUTPUT, ["N" if size is None else size for size in head.output_shape(spec, None)])
        inputs = [self._tensor(name, ["N", *shape]) for name, shape in head.input_shapes(spec).items()]
        return helper.make_graph(self.nodes, spec.kind, inputs, [output], self.constants)

    def _policy(self, network: PolicyNetwork, x: str) -> None:
        if network.limit == "tanh":
            limited = self._add("Tanh", x)
        else:
            limited = self._add("Clip", x, self._float("least", -1.0), self._float("most", 1.0))
        shape = self._constant("plan", np.array([-1, self.spec.horizon, len(self.spec.action_names)]))
        self._add("Reshape", limited, shape, output="action")

    def _mixture(self, network: WindowNetwork, features: str, member: int) -> tuple[str, ...]:
        """Logits, means and log deviations of one member, in the units of what is asked; WindowNetwork.answers."""
        K, D = self.spec.components, network.asked
        x = self._layers(network, features, member, hidden=True)
        weight, bias = network.weights[-1][member].detach().double(), network.biases[-1][member, 0].detach().double()
        std, mean = network.target_std.double().repeat(K), network.target_mean.double().repeat(K)
        at = {"logit": slice(0, K), "mean": slice(K, K + K * D), "log_std": slice(K + K * D, None)}
        parts = {name: [weight[:, part], bias[part]] for name, part in at.items()}
        parts["mean"] = [parts["mean"][0] * std, parts["mean"][1] * std + mean]
        made = {
            name: self._add("Gemm", x, self._float(f"member{member}_{name}_weight", w),
                            self._float(f"member{member}_{name}_bias", b))
            for name, (w, b) in parts.items()
        }  # fmt: skip
        low, high = (
            self._float(f"member{member}_log_std_{end}", value) for end, value in zip("ab", LOG_STD, strict=True)
        )
        clipped = self._add("Clip", made["log_std"], low, high)
        log_std = self._add("Add", clipped, self._float(f"member{member}_log_scale", std.log()))
        return made["logit"], made["mean"], log_std

    def _density(self, network: DensityNetwork, features: str) -> None:
        """DensityNetwork.answers."""
        centred = self._add("Sub", features, self._float("centre", network.centre))
        z = self._add("MatMul", centred, self._float("rotation", network.rotation))
        log_std = network.log_stds.detach().clamp(*DENSITY_LOG_STD)
        precision = (-2 * log_std).exp().flatten(0, 1)
        means = network.means.detach().flatten(0, 1)
        squares = self._add("Mul", z, z)
        curved = self._add("MatMul", squares, self._float("curvature", -0.5 * precision.T))
        sloped = self._add("Gemm", z, self._float("slope", (precision * means).T),
                           self._float("constant", network.constants().flatten()))  # fmt: skip
        self._add("Add", curved, sloped, output=OnnxDensity.OUTPUT)

    def _scaled_features(self) -> str:
        """HeadNetwork.scaled_features."""
        network, spec = self.network, self.spec
        shapes = HEADS[spec.kind].input_shapes(spec)
        flat = {
            name: self._add("Reshape", name, self._constant(f"{name}_rows", np.array([-1, shape[0] * shape[1]])))
            for name, shape in shapes.items()
            if len(shape) == 2
        }
        if any(block.name == "change" for block in network.blocks):
            later, before = ("next_state", "state") if "next_state" in shapes else ("last", "first")
            flat["change"] = self._add("Sub", later, before)
        parts = [
            part for block in network.blocks
            for part in self._encoded(flat.get(block.name, block.name), block.linear, block.angle)
        ]  # fmt: skip
        joined = self._add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        centred = self._add("Sub", joined, self._float("feature_mean", network.feature_mean))
        scaled = self._add("Div", centred, self._float("feature_std", network.feature_std))
        return self._add("Clip", scaled, self._float("clamp_low", -INPUT_CLAMP), self._float("clamp_high", INPUT_CLAMP))

    def _encoded(self, x: str, linear: list[int], angles: list[int]) -> list[str]:
        """Plain entries, then sines and cosines."""
        if not angles:
            return [x]  # all are plain, in order
        parts = [self._add("Gather", x, self._constant(f"{x}_linear", np.array(linear)), axis=1)] if linear else []
        angle = self._add("Gather", x, self._constant(f"{x}_angle", np.array(angles)), axis=1)
        return [*parts, self._add("Sin", angle), self._add("Cos", angle)]

    def _layers(self, network: HeadNetwork, x: str, member: int, hidden: bool = False) -> str:
        """Output [N, outputs] of one member, a value's or reward's in units of reward; `hidden`: of the one before."""
        last = len(network.weights) - 1
        for i in range(last if hidden else last + 1):
            weight, bias = network.weights[i][member].detach().double(), network.biases[i][member, 0].detach().double()
            if i == last and isinstance(network, ScalarNetwork):
                weight, bias = weight * network.target_std, bias * network.target_std + network.target_mean
            name = f"member{member}_layer{i}"
            x = self._add("Gemm", x, self._float(f"{name}_weight", weight), self._float(f"{name}_bias", bias))
            if i < last:
                x = self._add("Relu", x)
        return x

    def _tensor(self, name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def _float(self, name: str, value: torch.Tensor | float) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        return self._constant(name, array.astype(np.float32))

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def _add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; returns its output."""
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"n{len(self.nodes)}", **attributes))
        return name
