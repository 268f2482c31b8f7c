# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A model of windows in ONNX Runtime: what is asked of a window, from what is given of it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.heads import HeadKind, HeadSpec
from mbrl_controller.models.onnx_head import Float32, OnnxHead
from mbrl_controller.models.window_kinds import KINDS, WINDOW_NAMES, WindowKind
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class WindowAnswer:
    """Mixtures of Gaussians over M members times K components, for N windows; SI units.

    Of m rows of D numbers: the asked states (S numbers), or the commands of all steps (A joint targets, rad).
    """

    weight: Array  # [N, M*K], sums to 1
    mean: Array  # [N, M*K, m, D]
    std: Array  # [N, M*K, m, D]

    @property
    def expected(self) -> Array:
        """The mixture's mean [N, m, D]."""
        return np.asarray((self.weight[..., None, None] * self.mean).sum(1))

    @property
    def spread(self) -> Array:
        """The mixture's standard deviation [N, m, D]: what varies, and what the members do not agree on."""
        weight = self.weight[..., None, None]
        around = np.square(self.std) + np.square(self.mean - self.expected[:, None])
        return np.asarray(np.sqrt((weight * around).sum(1)))

    def likeliest(self, count: int) -> Array:
        """The means [N, count, m, D] of the components with the largest weight, largest first."""
        order = np.argsort(-self.weight, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(self.mean, order[..., None, None], 1)


class OnnxWindow(OnnxHead):
    """(first, last, commands), as far as its kind is given them -> `WindowAnswer`.

    May be called by several threads at a time.
    """

    KINDS: ClassVar[tuple[HeadKind, ...]] = tuple(name for name in WINDOW_NAMES if not KINDS[name].is_density)
    OUTPUT = "mixture"

    @property
    def kind(self) -> WindowKind:
        """What is given, and what is asked."""
        return KINDS[self.spec.kind]

    @classmethod
    def input_shapes(cls, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        return window_shapes(spec)

    @classmethod
    def output_shape(cls, spec: HeadSpec, rows: int | None) -> tuple[int | None, ...]:
        return (rows, spec.members * spec.components * (1 + 2 * spec.asked))

    @property
    def steps(self) -> int:
        """Control periods of a window (n)."""
        return self.spec.horizon

    def between(self, first: Array, last: Array, actions: Array) -> Array:
        """The expected states [N, n-1, S] of a model of kind `between`; arguments and errors as of `answer`."""
        return self.answer(first, last, actions).expected

    def answer(self, first: Array, last: Array | None = None, actions: Array | None = None) -> WindowAnswer:
        """What is asked of N windows; NaN where an input is not finite.

        Args:
            first: states [N, S] in which the windows begin.
            last: states [N, S] in which they end; None: not given.
            actions: commands [N, n, A], joint targets (rad); None: not given.

        Raises:
            ModelError: for other inputs than the kind is given, or of other sizes.
        """
        given = window_inputs(self, {"first": first, "last": last, "actions": actions})
        spec, kind, rows = self.spec, self.kind, len(given[0])
        found = self.evaluate(*given).astype(float)
        for value in given:
            found[~np.isfinite(value).reshape(rows, -1).all(axis=1)] = np.nan
        found = found.reshape(rows, spec.members, -1)
        K, D = spec.components, spec.asked
        logit, mean, log_std = np.split(found, [K, K + K * D], axis=-1)
        weight = np.exp(logit - logit.max(-1, keepdims=True))
        weight = weight / weight.sum(-1, keepdims=True) / spec.members
        states = kind.asked_states(spec.horizon)
        shape = (rows, spec.members * K, len(states) or spec.horizon, -1)
        mean = mean.reshape(shape)
        if states:
            mean = mean + kind.reference(spec.state, first, last, spec.horizon)[:, None]
        return WindowAnswer(weight.reshape(rows, -1), mean, np.exp(log_std).reshape(shape))


def window_shapes(spec: HeadSpec) -> dict[str, tuple[int, ...]]:
    """Shape of a row of each slice that the graph gets, in order."""
    size = len(spec.state_names)
    shapes = {"first": (size,), "last": (size,), "actions": (spec.horizon, len(spec.action_names))}
    return {name: shape for name, shape in shapes.items() if name in KINDS[spec.kind].seen}


def window_inputs(head: OnnxHead, values: dict[str, Array | None]) -> list[Float32]:
    """The graph's inputs of slices by name; raises ModelError where one is missing, too many, or of another size."""
    shapes = window_shapes(head.spec)
    given = {name: np.ascontiguousarray(v, dtype=np.float32) for name, v in values.items() if v is not None}
    if set(given) != set(shapes):
        raise ModelError(f"{head.path}: a model of kind {head.spec.kind} is given {', '.join(shapes)}, not "
                         f"{', '.join(given) or 'nothing'}")  # fmt: skip
    rows = len(given["first"])
    wanted = {name: (rows, *shape) for name, shape in shapes.items()}
    if {name: value.shape for name, value in given.items()} != wanted:
        found = {name: value.shape for name, value in given.items()}
        raise ModelError(f"{head.path}: inputs {found} do not fit its description: {wanted}")
    return [given[name] for name in shapes]
