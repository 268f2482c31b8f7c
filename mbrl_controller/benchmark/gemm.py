# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The yardstick of a plan's cost: its matrix products alone, in float32, by the fastest library at hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import onnxruntime as ort


def numpy_products(members: int, widths: list[int], candidates: int, horizon: int) -> Callable[[], object]:
    """All matrix products of one plan by NumPy, into arrays that are there already."""
    rng = np.random.default_rng(0)
    weights = [[_weight(rng, i, o) for i, o in pairwise(widths)] for _ in range(members)]
    layers = [rng.standard_normal((candidates, width), dtype=np.float32) for width in widths]

    def products() -> None:
        for _ in range(horizon):
            for member in weights:
                for i, weight in enumerate(member):
                    np.matmul(layers[i], weight, out=layers[i + 1])

    return products


def onnxruntime_products(members: int, widths: list[int], candidates: int, horizon: int) -> Callable[[], object]:
    """The same by ONNX Runtime on one thread: chains of MatMul and nothing else. Needs onnx to write them down."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, weights = [], []
    for e in range(members):
        for i, (n_in, n_out) in enumerate(pairwise(widths)):
            weights.append(numpy_helper.from_array(_weight(rng, n_in, n_out), f"w{e}_{i}"))
            nodes.append(helper.make_node("MatMul", [f"x{e}_{i}", f"w{e}_{i}"], [f"x{e}_{i + 1}"]))

    def tensors(layer: int) -> list[onnx.ValueInfoProto]:
        shape = [candidates, widths[layer]]
        return [helper.make_tensor_value_info(f"x{e}_{layer}", TensorProto.FLOAT, shape) for e in range(members)]

    graph = helper.make_graph(nodes, "products", tensors(0), tensors(len(widths) - 1), weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {f"x{e}_0": rng.standard_normal((candidates, widths[0]), dtype=np.float32) for e in range(members)}

    def products() -> None:
        for _ in range(horizon):
            session.run(None, inputs)

    return products


def _weight(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    """Of a size that keeps the products' magnitude, so that no overflow or denormal number sets the pace."""
    weight: np.ndarray = (rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)).astype(np.float32)
    return weight
