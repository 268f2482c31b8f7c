# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The density of a window in ONNX Runtime: how usual a step is. No torch here."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mbrl_controller.models.heads import HeadKind, HeadSpec
from mbrl_controller.models.onnx_head import OnnxHead
from mbrl_controller.models.onnx_window import window_inputs, window_shapes
from mbrl_controller.models.window_kinds import KINDS, WINDOW_NAMES
from mbrl_controller.tasks.spaces import Array


class OnnxDensity(OnnxHead):
    """(first, last, commands) -> log density, in whitened units of the data that it learnt from.

    May be called by several threads at a time.
    """

    KINDS: ClassVar[tuple[HeadKind, ...]] = tuple(name for name in WINDOW_NAMES if KINDS[name].is_density)
    OUTPUT = "log_density"

    @classmethod
    def input_shapes(cls, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        return window_shapes(spec)

    @classmethod
    def output_shape(cls, spec: HeadSpec, rows: int | None) -> tuple[int | None, ...]:
        return (rows, spec.members * spec.components)

    @property
    def steps(self) -> int:
        """Control periods of a window (n)."""
        return self.spec.horizon

    def log_density(self, first: Array, last: Array, actions: Array) -> Array:
        """Log densities [N] of windows from states [N, S] to states [N, S] under joint targets [N, n, A] (rad).

        Only differences between windows mean something. NaN where an input is not finite. Raises ModelError for inputs
        of other sizes.
        """
        given = window_inputs(self, {"first": first, "last": last, "actions": actions})
        found = self.evaluate(*given).astype(float)  # of each component, weighted
        for value in given:
            found[~np.isfinite(value).reshape(len(value), -1).all(axis=1)] = np.nan
        most = found.max(1, keepdims=True)
        return np.asarray(most[:, 0] + np.log(np.exp(found - most).mean(1) * self.spec.components))
