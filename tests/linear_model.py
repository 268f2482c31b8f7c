# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A model in ONNX whose numbers a test can work out, written without the package `onnx`: a robot has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

FLOAT = 1  # TensorProto.FLOAT


def linear_model_bytes(mix: np.ndarray, metadata: Mapping[str, str], output: str = "next_state") -> bytes:
    """A file of next_state = state + action @ mix[member], of `mix` [E, A, S]."""
    members, inputs, entries = mix.shape
    graph = (
        _node("MatMul", ("action", "mix"), "change"),
        _node("Add", ("state", "change"), output),
        _field(2, "linear"),
        _field(5, _tensor("mix", mix)),
        _field(11, _array("state", (members, "N", entries))),
        _field(11, _array("action", ("N", inputs))),
        _field(12, _array(output, (members, "N", entries))),
    )
    notes = [_field(14, _field(1, key) + _field(2, value)) for key, value in metadata.items()]
    return b"".join([_field(1, 7), _field(7, b"".join(graph)), _field(8, _field(1, "") + _field(2, 13)), *notes])


def linear_model(mix: np.ndarray, metadata: Mapping[str, str], output: str = "next_state") -> onnx.ModelProto:
    """The same for a test that goes on to change it."""
    import onnx

    return onnx.load_from_string(linear_model_bytes(mix, metadata, output))


# The numbers are those of the fields in onnx.proto3.


def _node(operator: str, inputs: tuple[str, ...], output: str) -> bytes:
    return _field(1, b"".join([*(_field(1, name) for name in inputs), _field(2, output), _field(4, operator)]))


def _tensor(name: str, values: np.ndarray) -> bytes:
    sizes = b"".join(_field(1, size) for size in values.shape)
    return sizes + _field(2, FLOAT) + _field(8, name) + _field(9, values.astype("<f4").tobytes())


def _array(name: str, shape: tuple[int | str, ...]) -> bytes:
    sizes = b"".join(_field(1, _field(2 if isinstance(size, str) else 1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, sizes)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protobuf message: a number as a varint, anything else with its length before it."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
