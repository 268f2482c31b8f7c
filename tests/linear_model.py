"""A model in ONNX whose numbers a test can work out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def linear_model(mix: np.ndarray, metadata: Mapping[str, str], output: str = "next_state") -> onnx.ModelProto:
    """next_state = state + action @ mix[member], of `mix` [E, A, S]."""
    members, inputs, entries = mix.shape
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["action", "mix"], ["change"]),
            helper.make_node("Add", ["state", "change"], [output]),
        ],
        "linear",
        [info("state", TensorProto.FLOAT, [members, "N", entries]), info("action", TensorProto.FLOAT, ["N", inputs])],
        [info(output, TensorProto.FLOAT, [members, "N", entries])],
        [numpy_helper.from_array(mix, "mix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model
