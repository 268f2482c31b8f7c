# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A model that asks for far more memory than its file has bytes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


def insert_outer_product(model: onnx.ModelProto, n: int) -> None:
    """Put an array of n * n numbers, of which the file holds 2 n, on the way to a model's result, which stays."""
    graph = model.graph
    S = graph.output[0].type.tensor_type.shape.dim[2].dim_value
    arrays = {"a": np.ones((n, 1), np.float32), "b": np.zeros((1, n), np.float32)}
    arrays |= {"row": np.array(0), "columns": np.zeros(S, np.int64)}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in arrays.items())
    (last,) = (node for node in graph.node if "next_state" in node.output)
    last.output[0] = "plain"
    for operator, inputs, output in (
        ("MatMul", ["a", "b"], "product"),
        ("Gather", ["product", "row"], "line"),
        ("Gather", ["line", "columns"], "nothing"),
        ("Add", ["plain", "nothing"], "next_state"),
    ):
        graph.node.append(helper.make_node(operator, inputs, [output]))
