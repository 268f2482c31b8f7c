# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`Operations` as nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.dynamics.contacts import ContactLayout


class Graph(Protocol):
    """What builds the graph: see `NetworkGraph`."""

    @property
    def length(self) -> int: ...
    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str: ...
    def add(self, kind: str, *inputs: str, output: str | tuple[str, ...] = "", **attributes: Any) -> str: ...


@dataclass(frozen=True)
class Node:
    """A tensor of the graph, with arithmetic."""

    name: str
    graph: Graph

    def apply(self, kind: str, *others: Node, **attributes: Any) -> Node:
        names = (other.name for other in others)
        return Node(self.graph.add(kind, self.name, *names, **attributes), self.graph)

    def __add__(self, other: Node) -> Node:
        return self.apply("Add", other)

    def __sub__(self, other: Node) -> Node:
        return self.apply("Sub", other)

    def __mul__(self, other: Node) -> Node:
        return self.apply("Mul", other)

    def __truediv__(self, other: Node) -> Node:
        return self.apply("Div", other)


class Nodes:
    """`Operations` on the nodes of a graph; each constant that is used becomes one of the graph's."""

    def __init__(self, graph: Graph, constants: Mapping[str, NDArray[Any]]) -> None:
        self.graph, self.constants = graph, constants
        self.known: set[str] = set()

    def matmul(self, matrix: str, x: Node) -> Node:
        return self.constant(matrix).apply("MatMul", x)

    def constant(self, name: str) -> Node:
        return self.named(name, self.constants[name])

    def split(self, x: Node, sizes: list[int], axis: int) -> list[Node]:
        outputs = tuple(f"v{self.graph.length}_{i}" for i in range(len(sizes)))
        lengths = self.named(f"split_{'_'.join(map(str, sizes))}", np.array(sizes))
        x.apply("Split", lengths, output=outputs, axis=axis)
        return [Node(name, self.graph) for name in outputs]

    def concat(self, parts: list[Node], axis: int) -> Node:
        return parts[0].apply("Concat", *parts[1:], axis=axis)

    def minimum(self, a: Node, b: Node) -> Node:
        return a.apply("Min", b)

    def maximum(self, a: Node, b: Node) -> Node:
        return a.apply("Max", b)

    def sin(self, x: Node) -> Node:
        return x.apply("Sin")

    def cos(self, x: Node) -> Node:
        return x.apply("Cos")

    def exp(self, x: Node) -> Node:
        return x.apply("Exp")

    def sqrt(self, x: Node) -> Node:
        return x.apply("Sqrt")

    def reshape(self, x: Node, shape: list[int]) -> Node:
        return x.apply("Reshape", self.named(f"shape_{'_'.join(map(str, shape))}", np.array(shape)))

    def sum_first(self, x: Node) -> Node:
        return x.apply("ReduceSum", self.named("first_axis", np.array([0])), keepdims=1)

    def choose(self, test: Node, positive: Node, otherwise: Node) -> Node:
        above = test.apply("Greater", self.named("choose_zero", np.float32(0)))
        return above.apply("Where", positive, otherwise)

    def named(self, name: str, value: NDArray[Any] | np.generic) -> Node:
        """A constant of the graph, added once."""
        if name not in self.known:
            self.known.add(name)
            self.graph.constant(name, value)
        return Node(name, self.graph)


class ContactNodes(Nodes):
    """`StateOperations` as nodes, for states [E, N, S]."""

    def __init__(self, graph: Graph, layout: ContactLayout, members: int, entries: int) -> None:
        super().__init__(graph, layout.constants)
        self.members, self.entries, self.size = members, entries, layout.size

    def states_last(self, state: Node) -> Node:
        return self.reshape(state, [-1, self.entries]).apply("Transpose", perm=[1, 0])

    def states_first(self, features: Node, state: Node) -> Node:
        return self.reshape(features.apply("Transpose", perm=[1, 0]), [self.members, -1, self.size])

    def gather(self, x: Node, indices: str) -> Node:
        return x.apply("Gather", self.constant(indices), axis=0)
