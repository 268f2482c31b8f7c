# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Array operations that torch computes and that are written into an ONNX graph: one formula for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from typing import Self  # Python 3.11


class Number(Protocol):
    """What has arithmetic: a tensor, or a node of a graph."""

    def __add__(self, other: Self, /) -> Self: ...
    def __sub__(self, other: Self, /) -> Self: ...
    def __mul__(self, other: Self, /) -> Self: ...
    def __truediv__(self, other: Self, /) -> Self: ...


X = TypeVar("X", bound=Number)


class Operations(Protocol[X]):
    """Operations on arrays; constants are named."""

    def constant(self, name: str) -> X: ...
    def matmul(self, matrix: str, x: X) -> X: ...
    def split(self, x: X, sizes: list[int], axis: int) -> list[X]: ...
    def concat(self, parts: list[X], axis: int) -> X: ...
    def minimum(self, a: X, b: X, /) -> X: ...
    def maximum(self, a: X, b: X, /) -> X: ...
    def sin(self, x: X, /) -> X: ...
    def cos(self, x: X, /) -> X: ...
    def exp(self, x: X, /) -> X: ...
    def sqrt(self, x: X, /) -> X: ...

    def reshape(self, x: X, shape: list[int]) -> X:
        """The same numbers in this shape; -1 for what is left."""
        ...

    def sum_first(self, x: X) -> X:
        """[1, ...], the sum over the first axis."""
        ...

    def choose(self, test: X, positive: X, otherwise: X) -> X:
        """`positive` where `test` is above zero, else `otherwise`."""
        ...


class StateOperations(Operations[X], Protocol[X]):
    """Operations on [..., B] for B states.

    States are the last axis, unlike elsewhere: then each operation runs over long rows of memory, and gathering one
    value of all states gathers a row. In ONNX Runtime that takes well under half the time.
    """

    def states_last(self, state: X) -> X:
        """States [..., S] as [S, B]."""
        ...

    def states_first(self, features: X, state: X) -> X:
        """Features [F, B] as [..., F], with the leading axes of `state`."""
        ...

    def gather(self, x: X, indices: str) -> X:
        """Rows [n, B] of x [S, B] for indices [n]; [n, 1, B] for indices [n, 1], and so on."""
        ...
