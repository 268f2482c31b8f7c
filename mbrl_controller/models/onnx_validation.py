# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Validates the bytes of a model file before ONNX Runtime gets them.

ONNX allows much that no model here needs: weights in other files, which the runtime would read, array sizes computed
from other arrays, loops, operators of other libraries. So a file may contain only the few operators that
dynamics/export.py writes. With those, array sizes depend only on the number of candidates: a file that runs once within
limits (models/sandbox.py) stays within them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.files import MAX_TEXT_BYTES

OPERATORS = {
    "": {"Add", "Clip", "Concat", "Cos", "Div", "Exp", "Gather", "Gemm", "Greater", "MatMul", "Max", "Min",
         "Mul", "QuantizeLinear", "ReduceSum", "Relu", "Reshape", "Sin", "Slice", "Split", "Sqrt", "Sub", "Tanh",
         "Transpose", "Where"},
    "com.microsoft": {"MatMulIntegerToFloat"},
}  # fmt: skip
MAX_PARTS = 50_000  # protobuf messages in the file; Baoding's models have a few hundred

# Field numbers of onnx.proto3 on the paths from a ModelProto to its nodes and tensors.
_TENSOR, _SPARSE, _ENTRY = "tensor", "sparse", "entry"
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 14: _ENTRY, 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: _SPARSE},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: _SPARSE, 23: _SPARSE},
    _TENSOR: {},
    _SPARSE: {},
    _ENTRY: {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor
_OP_TYPE, _DOMAIN = 4, 7  # of a node


def validate_onnx(content: bytes, path: Path) -> None:
    """Raises ModelError with the file's `path` if the bytes must not be loaded."""
    if not content:
        raise ModelError(f"{path}: the file is empty")
    parts, notes, unknown = 0, 0, ""
    stack = [("model", memoryview(content))]
    try:
        while stack:
            kind, message = stack.pop()
            operator = domain = b""
            for number, value in _fields(message):
                if kind == _TENSOR and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
                    raise ModelError(f"{path}: keeps weights in other files; a model must be one self-contained file")
                if not isinstance(value, memoryview):
                    continue
                if kind == "node" and number == _OP_TYPE:
                    operator = bytes(value[:100])
                elif kind == "node" and number == _DOMAIN:
                    domain = bytes(value[:100])
                elif number in _FIELDS[kind]:
                    parts += 1
                    if parts > MAX_PARTS:
                        raise ModelError(f"{path}: has more than {MAX_PARTS} parts")
                    stack.append((_FIELDS[kind][number], value))
            if kind == "node":
                unknown = unknown or _unknown_operator(operator, domain)
            elif kind == _SPARSE:
                raise ModelError(f"{path}: has sparse weights, which are not supported")
            elif kind == _ENTRY:
                notes += len(message)
                if notes > MAX_TEXT_BYTES:
                    raise ModelError(f"{path}: has more than {MAX_TEXT_BYTES // 1024} KiB of metadata")
    except (IndexError, ValueError) as error:
        raise ModelError(f"{path}: not an ONNX file, or damaged") from error
    if unknown:
        raise ModelError(f"{path}: unsupported ONNX operator {unknown}")


def _unknown_operator(operator: bytes, domain: bytes) -> str:
    """Its name for an error; empty if it is a supported operator."""
    name, library = (text.decode(errors="replace") for text in (operator, domain))
    if name in OPERATORS.get("" if library == "ai.onnx" else library, ()):
        return ""
    return f"{name!r} of {library!r}" if library else f"{name!r}"


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a protobuf message: numbers for varints, a view for anything with a length."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == 0:
            number, at = _varint(message, at)
            yield tag >> 3, number
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(message):
            raise ValueError("cut short")
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("varint too long")
