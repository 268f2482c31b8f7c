# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is found in a model file's bytes, wherever it hides: with messages written byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models import onnx_validation as onnx_content
from mbrl_controller.models.files import MAX_TEXT_BYTES
from mbrl_controller.models.onnx_validation import validate_onnx

PATH = Path("m.onnx")
# Field numbers of onnx.proto3.
GRAPH, METADATA, TRAINING, FUNCTION = 7, 14, 20, 25  # of a model
NODE, INITIALIZER, SPARSE = 1, 5, 15  # of a graph
OP_TYPE, ATTRIBUTE, DOMAIN = 4, 5, 7  # of a node
DATA_LOCATION, EXTERNAL_DATA = 14, 13  # of a tensor


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def node(operator: str, domain: str = "", more: bytes = b"") -> bytes:
    return part(OP_TYPE, operator.encode()) + (part(DOMAIN, domain.encode()) if domain else b"") + more


def graph(*nodes: bytes, more: bytes = b"") -> bytes:
    return b"".join(part(NODE, n) for n in nodes) + more


def refused(content: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        validate_onnx(content, PATH)
    assert str(caught.value).startswith("m.onnx: ")


GOOD = part(GRAPH, graph(node("Relu"), node("Add", "ai.onnx"), node("MatMulIntegerToFloat", "com.microsoft")))


def test_a_graph_of_our_own_operators_passes() -> None:
    validate_onnx(GOOD, PATH)
    validate_onnx(GOOD + note(10), PATH)


def test_an_empty_file_is_told() -> None:
    refused(b"", "the file is empty")


# Where nodes can be, from a model to the field that holds them.
def in_graph(n: bytes) -> bytes:
    return part(GRAPH, part(NODE, n))


def in_branch(n: bytes) -> bytes:
    return in_graph(node("Relu", more=part(ATTRIBUTE, part(6, part(NODE, n)))))


def in_branches(n: bytes) -> bytes:
    return in_graph(node("Relu", more=part(ATTRIBUTE, part(11, part(NODE, n)))))


def in_initialization(n: bytes) -> bytes:
    return part(TRAINING, part(1, part(NODE, n)))


def in_training(n: bytes) -> bytes:
    return part(TRAINING, part(2, part(NODE, n)))


def in_function(n: bytes) -> bytes:
    return part(FUNCTION, part(7, n))


def in_function_attribute(n: bytes) -> bytes:
    return part(FUNCTION, part(11, part(6, part(NODE, n))))


PLACES = [in_graph, in_branch, in_branches, in_initialization, in_training, in_function, in_function_attribute]
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)


@places
def test_a_foreign_operator_is_found_in_every_place_for_nodes(place) -> None:
    validate_onnx(GOOD + place(node("Relu")), PATH)
    refused(GOOD + place(node("Loop")), "unsupported ONNX operator 'Loop'")
    refused(place(node("Loop")) + GOOD, "unsupported ONNX operator 'Loop'")
    refused(GOOD + place(node("Add", "com.microsoft")), "unsupported ONNX operator 'Add' of 'com.microsoft'")
    refused(GOOD + place(node("MatMulIntegerToFloat")), "unsupported ONNX operator 'MatMulIntegerToFloat'")
    refused(GOOD + place(b""), "unsupported ONNX operator ''")


def test_of_several_foreign_operators_one_is_named_and_of_a_long_name_the_beginning() -> None:
    refused(part(GRAPH, graph(node("Loop"), node("Relu"))), "'Loop'")
    refused(in_graph(node("L" * 1000)), f"'{'L' * 100}'")
    refused(in_graph(node("Add", "d" * 1000)), f"'Add' of '{'d' * 100}'")


# Where tensors can be, of a graph and of a node's attribute.
TENSORS = {
    "initializer": lambda t: part(GRAPH, part(INITIALIZER, t)),
    "attribute": lambda t: in_graph(node("Relu", more=part(ATTRIBUTE, part(5, t)))),
    "attribute's list": lambda t: in_graph(node("Relu", more=part(ATTRIBUTE, part(10, t)))),
    "function's attribute": lambda t: part(FUNCTION, part(11, part(5, t))),
}


@pytest.mark.parametrize("place", TENSORS)
def test_weights_in_other_files_are_found_in_every_place_for_tensors(place) -> None:
    inside = part(9, b"raw data")
    validate_onnx(TENSORS[place](inside), PATH)
    validate_onnx(TENSORS[place](inside + number(DATA_LOCATION, 0)), PATH)
    for outside in (number(DATA_LOCATION, 1), number(DATA_LOCATION, 2), part(EXTERNAL_DATA, b"location")):
        refused(TENSORS[place](inside + outside), "keeps weights in other files")
        refused(TENSORS[place](outside + inside), "keeps weights in other files")


@pytest.mark.parametrize(
    "place",
    [
        lambda t: part(GRAPH, part(SPARSE, t)),
        lambda t: in_graph(node("Relu", more=part(ATTRIBUTE, part(22, t)))),
        lambda t: in_graph(node("Relu", more=part(ATTRIBUTE, part(23, t)))),
    ],
)
def test_sparse_weights_are_found_in_every_place(place) -> None:
    refused(place(b""), "sparse weights")
    refused(place(part(1, b"values")), "sparse weights")


@pytest.mark.parametrize(
    "other",
    [
        number(99, 1 << 62),
        varint(99 << 3 | 1) + b"8 bytes.",
        varint(99 << 3 | 5) + b"four",
        part(99, b"x" * 300),
        number(GRAPH, 3),  # a number where a graph should be is none
    ],
)
def test_fields_that_are_not_looked_at_are_passed_over_whatever_their_kind(other) -> None:
    """Their length must be right, or what follows would be misread."""
    validate_onnx(other + GOOD + other, PATH)
    refused(other + in_graph(other + node("Loop") + other), "unsupported ONNX operator 'Loop'")
    refused(part(GRAPH, other + part(INITIALIZER, other + number(DATA_LOCATION, 1))), "other files")


@pytest.mark.parametrize("wire", [3, 4, 6, 7])
def test_groups_and_unknown_kinds_of_fields_are_damage(wire) -> None:
    refused(GOOD + varint(9 << 3 | wire) + b"12345678", "not an ONNX file, or damaged")


CUTS = [
    part(9, b"abc")[:-1],
    varint(9 << 3 | 1) + b"7 bytes",
    varint(9 << 3 | 5) + b"thr",
    b"\x80",
    number(9, 300)[:-1],
]


@pytest.mark.parametrize("cut", CUTS)
def test_what_is_cut_short_is_damage(cut) -> None:
    refused(GOOD + cut, "not an ONNX file, or damaged")


def test_a_number_has_ten_bytes_at_most() -> None:
    validate_onnx(GOOD + varint(9 << 3) + b"\xff" * 9 + b"\x01", PATH)
    refused(GOOD + varint(9 << 3) + b"\xff" * 10 + b"\x01", "not an ONNX file, or damaged")


def test_lengths_above_127_are_read_right() -> None:
    for length in (127, 128, 300, 16_383, 16_384, 70_000):
        refused(part(99, b"\x00" * length) + in_graph(node("Loop")), "unsupported ONNX operator 'Loop'")
        refused(in_graph(part(99, b"\x00" * length) + node("Loop")), "unsupported ONNX operator 'Loop'")


def test_so_many_parts_are_allowed_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_content, "MAX_PARTS", 5)
    validate_onnx(part(GRAPH, graph(*[node("Relu")] * 4)), PATH)
    refused(part(GRAPH, graph(*[node("Relu")] * 5)), "has more than 5 parts")


def note(length: int) -> bytes:
    """An entry of so many bytes about the model."""
    head = next(size for size in range(1, 6) if len(varint(length - 1 - size)) == size)
    content = part(2, b"x" * (length - 1 - head))
    assert len(content) == length
    return part(METADATA, content)


def test_so_many_words_are_allowed_and_no_more() -> None:
    half = note(MAX_TEXT_BYTES // 2)
    validate_onnx(GOOD + half + half, PATH)
    refused(GOOD + half + note(MAX_TEXT_BYTES // 2 + 1), f"more than {MAX_TEXT_BYTES // 1024} KiB of metadata")
