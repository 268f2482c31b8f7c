"""An ensemble as one self-contained ONNX file, checked against the network it came from before it gets its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.weights import write_atomically
from mbrl_controller.errors import ModelError
from mbrl_controller.model_spec import ModelSpec
from mbrl_controller.tasks.spaces import Array

Precision = Literal["fp32", "int8"]

# Old enough for the ONNX Runtime of every ROS 2 distribution since Humble (1.7 reads IR 7 and opset 13).
OPSET, IR_VERSION = 13, 7

# Largest difference from the torch network, in units of one step's change (delta_scale): rounding only for fp32;
# int8 is judged by its root mean square, because single hidden units may round the other way.
FP32_TOLERANCE = 1e-3
INT8_RMS_TOLERANCE = 0.05


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
    and no file; without them, states around the training mean. The same weights and spec give the same bytes.
    """
    spec = spec.model_copy(
        update={
            "ensemble_size": model.size,
            "hidden": model.hidden,
            "precision": precision,
            "delta_scale": tuple(float(v) for v in model.delta_std),
        }
    )
    graph = _Graph(model, spec, precision).build()
    proto = helper.make_model(
        graph, producer_name="mbrl_controller", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    for key, value in spec.to_metadata().items():
        proto.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(proto, full_check=True)
    content = proto.SerializeToString(deterministic=True)
    check_export(content, model, samples or _made_up(model), precision, str(path))
    write_atomically(Path(path), content)
    return spec


def check_export(
    content: bytes, model: DynamicsEnsemble, samples: tuple[Array, Array], precision: Precision, where: str
) -> float:
    """Difference between a serialised graph and the network on samples, in units of `delta_scale`.

    The largest for fp32, the root mean square for int8; raises ModelError beyond the tolerance.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
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
    """Nodes of the graph. Each member has its own chain of Gemms: ONNX Runtime prepacks and fuses those, which is
    faster than one batched MatMul."""

    def __init__(self, model: DynamicsEnsemble, spec: ModelSpec, precision: Precision) -> None:
        self.model, self.spec, self.precision = model, spec, precision
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.GraphProto:
        model, spec = self.model, self.spec
        E, S, A = model.size, len(spec.state_names), len(spec.action_names)
        features = self._scaled(self._features())
        members = [self._member(features, e) for e in range(E)]
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
        reach, lower, upper = (self._float(name, getattr(model, name)) for name in ("reach", "lower", "upper"))
        target = self._add("Max", "action", self._add("Sub", position, reach))
        target = self._add("Min", target, self._add("Add", position, reach))
        target = self._add("Min", self._add("Max", target, lower), upper)
        if model.action_input == "error":
            target = self._add("Sub", target, position)
        if not len(model.angle):
            return self._add("Concat", "state", target, axis=2)
        angle = self._pick("angle", model.angle.numpy())
        sine, cosine = self._add("Sin", angle), self._add("Cos", angle)
        return self._add("Concat", self._pick("linear", model.linear.numpy()), sine, cosine, target, axis=2)

    def _scaled(self, features: str) -> str:
        model = self.model
        centred = self._add("Sub", features, self._float("feature_mean", model.feature_mean))
        scaled = self._add("Div", centred, self._float("feature_std", model.feature_std))
        clamp = np.float32(model.input_clamp)
        return self._add("Clip", scaled, self._constant("low", -clamp), self._constant("high", clamp))

    def _member(self, features: str, e: int) -> str:
        """Change [N, S] in physical units: the output scaling is part of the last layer."""
        model = self.model
        x = self._add("Gather", features, self._constant(f"member{e}", np.array(e)), axis=0)
        last = len(model.weights) - 1
        for i, (weights, biases) in enumerate(zip(model.weights, model.biases, strict=True)):
            weight, bias = weights[e].detach().double(), biases[e, 0].detach().double()
            if i == last:
                scale, mean = model.delta_std.double(), model.delta_mean.double()
                weight, bias = weight * scale, bias * scale + mean
            name = f"member{e}_layer{i}"
            x = self._layer(x, weight.numpy(), bias.numpy(), name, self.precision == "int8")
            if i < last:
                x = self._add("Relu", x)
        return x

    def _layer(self, x: str, weight: Array, bias: Array, name: str, quantised: bool) -> str:
        if not quantised:
            return self._add("Gemm", x, self._float(f"{name}_weight", weight), self._float(f"{name}_bias", bias))
        # Dynamic quantisation as onnxruntime.quantization writes it (ONNX Runtime fuses this pattern): activations
        # 8 bit per tensor, weights 7 bit per output column, since 8 bit overflow on processors without VNNI.
        step = np.maximum(np.abs(weight).max(axis=0) / 63, 1e-30)
        integer = np.rint(weight / step).astype(np.int8)
        self._add("DynamicQuantizeLinear", x, output=(f"{name}_x", f"{name}_x_step", f"{name}_x_zero"))
        weight_name = self._constant(f"{name}_weight", integer)
        zero = self._constant(f"{name}_weight_zero", np.zeros(weight.shape[1], np.int8))
        product = self._add("MatMulInteger", f"{name}_x", weight_name, f"{name}_x_zero", zero)
        unit = self._add("Mul", f"{name}_x_step", self._float(f"{name}_weight_step", step))
        real = self._add("Mul", self._add("Cast", product, to=TensorProto.FLOAT), unit)
        return self._add("Add", real, self._float(f"{name}_bias", bias))

    def _pick(self, name: str, indices: NDArray[np.int64]) -> str:
        """Entries of the state: a slice where they are neighbours, which is a plain copy."""
        if len(indices) and (np.diff(indices) == 1).all():
            bounds = (("from", indices[0]), ("to", indices[-1] + 1), ("axis", 2))
            return self._add("Slice", "state", *(self._constant(f"{name}_{k}", np.array([v])) for k, v in bounds))
        return self._add("Gather", "state", self._constant(name, indices), axis=2)

    def _float(self, name: str, value: torch.Tensor | Array) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        return self._constant(name, array.astype(np.float32))

    def _constant(self, name: str, value: NDArray | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _add(self, kind: str, *inputs: str, output: str | tuple[str, ...] = "", **attributes: Any) -> str:
        outputs = output if isinstance(output, tuple) else (output or f"v{len(self.nodes)}",)
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=f"n{len(self.nodes)}", **attributes))
        return outputs[0]
