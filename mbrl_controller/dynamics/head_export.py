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
from mbrl_controller.dynamics.export import IR_VERSION, OPSET
from mbrl_controller.dynamics.head_network import INPUT_CLAMP, HeadNetwork
from mbrl_controller.dynamics.policy_network import PolicyNetwork
from mbrl_controller.dynamics.reward_network import RewardNetwork
from mbrl_controller.dynamics.scalar_network import ScalarNetwork
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.onnx_heads import HEADS
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_reward import OnnxReward
from mbrl_controller.models.onnx_value import OnnxValue

TOLERANCE = 1e-5  # of a normalised action, and of a value or reward in units of its scale: rounding only
_PROBE_ROWS = 256


def export_head(network: PolicyNetwork | ScalarNetwork, path: Path, spec: HeadSpec | None = None) -> ModelFile:
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


def _check(network: PolicyNetwork | ScalarNetwork, file: ModelFile) -> None:
    """Compare a serialised graph with its network on made-up inputs; raises ModelError."""
    spec, made = network.spec, _probe(network)
    goal = made["goal"].reshape(_PROBE_ROWS, len(spec.goal_steps), len(spec.goal_names))
    ahead = np.zeros((_PROBE_ROWS, spec.reach, len(spec.goal_names)))
    ahead[:, [step - 1 for step in spec.goal_steps]] = goal
    if isinstance(network, PolicyNetwork):
        state = made["state"]
        found, expected, scale = OnnxPolicy.load(file).plans(state, ahead), network.plans(state, goal), 1.0
    else:
        scale = float(network.target_std) + float(network.target_mean.abs())
        if isinstance(network, RewardNetwork):
            after = made["next_state"].astype(np.float32)
            step = after - made["change"].astype(np.float32), made["action"], after, goal
            found, expected = OnnxReward.load(file).rewards(*step), network.rewards(*step)
        else:
            found, expected = OnnxValue.load(file).values(made["state"], ahead), network.answers(made["state"], goal)
    worst = float(np.abs(found - expected).max()) / scale
    if not worst <= TOLERANCE:
        raise ModelError(f"{file.path}: the exported graph differs from the network by {worst:.2g}, not {TOLERANCE}")


def _probe(network: HeadNetwork) -> dict[str, NDArray[np.float64]]:
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

    def __init__(self, network: PolicyNetwork | ScalarNetwork) -> None:
        self.network, self.spec = network, network.spec
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.GraphProto:
        """Inputs as the class that loads it says; output action [N, P, A], value [V, N] or reward [V, N]."""
        spec, network = self.spec, self.network
        features = self._scaled_features()
        ends = [self._layers(features, member) for member in range(network.size)]
        if isinstance(network, PolicyNetwork):
            self._policy(network, ends[0])
            output = self._tensor("action", ["N", spec.horizon, len(spec.action_names)])
        else:
            rows = self._add("Concat", *ends, axis=1) if len(ends) > 1 else ends[0]
            self._add("Transpose", rows, perm=[1, 0], output=spec.kind)
            output = self._tensor(spec.kind, [spec.members, "N"])
        shapes = HEADS[spec.kind].input_shapes(spec)
        inputs = [self._tensor(name, ["N", *shape]) for name, shape in shapes.items()]
        return helper.make_graph(self.nodes, spec.kind, inputs, [output], self.constants)

    def _policy(self, network: PolicyNetwork, x: str) -> None:
        if network.limit == "tanh":
            limited = self._add("Tanh", x)
        else:
            limited = self._add("Clip", x, self._float("least", -1.0), self._float("most", 1.0))
        shape = self._constant("plan", np.array([-1, self.spec.horizon, len(self.spec.action_names)]))
        self._add("Reshape", limited, shape, output="action")

    def _scaled_features(self) -> str:
        """HeadNetwork.scaled_features."""
        network, spec = self.network, self.spec
        width = len(spec.goal_steps) * len(spec.goal_names)
        flat = {"goal": self._add("Reshape", "goal", self._constant("goal_rows", np.array([-1, width])))}
        if isinstance(network, RewardNetwork):
            flat["change"] = self._add("Sub", "next_state", "state")
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

    def _layers(self, x: str, member: int) -> str:
        """Output [N, outputs] of one member; a value's or reward's in units of reward."""
        network = self.network
        last = len(network.weights) - 1
        for i, (weights, biases) in enumerate(zip(network.weights, network.biases, strict=True)):
            weight, bias = weights[member].detach().double(), biases[member, 0].detach().double()
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
