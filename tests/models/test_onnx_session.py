# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""8-bit products are exact on every processor, and which kernels make them can be forced."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.models import onnx_session
from mbrl_controller.models.onnx_session import INT8_VARIABLE, int8_kernels, open_session, u8s8_saturates

onnx = pytest.importorskip("onnx")


def product(weight: np.ndarray | None = None) -> bytes:
    """A graph of c = a b with unsigned a [m, k] and signed b [k, n], which is `weight` or a second input."""
    tensor = onnx.helper.make_tensor_value_info
    inputs = [tensor("a", onnx.TensorProto.UINT8, ["m", "k"])]
    constants = []
    if weight is None:
        inputs.append(tensor("b", onnx.TensorProto.INT8, ["k", "n"]))
    else:
        constants.append(onnx.numpy_helper.from_array(weight, "b"))
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "g",
        inputs,
        [tensor("c", onnx.TensorProto.INT32, ["m", "n"])],
        constants,
    )
    opset = onnx.helper.make_opsetid("", 13)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString(deterministic=True)


def exact(kernels: str, a: np.ndarray, b: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether these kernels multiply as integers do."""
    monkeypatch.setenv(INT8_VARIABLE, kernels)
    (found,) = open_session(product(b)).run(["c"], {"a": a})
    return np.array_equal(found, a.astype(int) @ b.astype(int))


def largest(m: int = 8, k: int = 64, n: int = 16) -> tuple[np.ndarray, np.ndarray]:
    return np.full((m, k), 255, np.uint8), np.full((k, n), 127, np.int8)


def test_the_question_asked_of_the_processor_is_a_product_of_two_inputs() -> None:
    assert product() == onnx_session._PRODUCT


def test_the_largest_products_are_exact_unless_the_processor_saturates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exact("auto", *largest(), monkeypatch)
    assert exact("U8U8", *largest(), monkeypatch)
    assert exact("U8S8", *largest(), monkeypatch) is not u8s8_saturates()


@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 20), k=st.integers(1, 130), n=st.integers(1, 40))
@settings(deadline=None, max_examples=50)
def test_what_is_served_is_exact_whatever_the_sizes(seed: int, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 256, (m, k), np.uint8), rng.integers(-127, 128, (k, n), np.int8)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert exact("auto", a, b, monkeypatch)


def test_kernels_are_those_that_are_exact_unless_others_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for saturates, expected in ((True, "U8U8"), (False, "U8S8")):
        monkeypatch.setattr(onnx_session, "u8s8_saturates", lambda saturates=saturates: saturates)
        for mode in (None, "auto", "off"):
            monkeypatch.delenv(INT8_VARIABLE, raising=False)
            if mode is not None:
                monkeypatch.setenv(INT8_VARIABLE, mode)
            assert int8_kernels() == expected
        for mode in ("U8S8", "U8U8"):
            monkeypatch.setenv(INT8_VARIABLE, mode)
            assert int8_kernels() == mode


def test_a_mode_that_does_not_exist_is_an_error_that_names_those_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INT8_VARIABLE, "on")
    with pytest.raises(MbrlError, match=r"MBRL_INT8='on'.*auto, off, U8S8, U8U8"):
        int8_kernels()
