# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A policy in ONNX Runtime, the form in which it reaches the robot. No torch here."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnxruntime as ort

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.heads import HeadKind, HeadSpec
from mbrl_controller.models.onnx_head import Float32, OnnxHead
from mbrl_controller.tasks.spaces import Array


class _Buffers:
    """One state's input and output, bound once: binding takes longer than the products of a small network."""

    def __init__(self, session: ort.InferenceSession, spec: HeadSpec, output: str) -> None:
        S, K, G = len(spec.state_names), len(spec.goal_steps), len(spec.goal_names)
        self.state, self.goal = np.zeros((1, S), np.float32), np.zeros((1, K, G), np.float32)
        self.plan = np.zeros((1, spec.horizon, len(spec.action_names)), np.float32)
        self.binding = session.io_binding()
        for name, value in (("state", self.state), ("goal", self.goal)):
            self.binding.bind_input(name, "cpu", 0, np.float32, value.shape, value.ctypes.data)
        self.binding.bind_output(output, "cpu", 0, np.float32, self.plan.shape, self.plan.ctypes.data)


class OnnxPolicy(OnnxHead):
    """(state, goals) -> a plan of normalised actions; see `PolicyHead`. Raises ModelError for input that is not finite.

    May be called by several threads at a time.
    """

    KINDS: ClassVar[tuple[HeadKind, ...]] = ("policy",)
    OUTPUT = "action"

    @classmethod
    def output_shape(cls, spec: HeadSpec, rows: int | None) -> tuple[int | None, ...]:
        return (rows, spec.horizon, len(spec.action_names))

    def plan(self, state: Array, goals: Array) -> Float32:
        """Normalised actions [P, A] in [-1, 1] from state [S] and goals [L, G]; goals[i] is i + 1 periods ahead."""
        spec, buffers = self.spec, self._buffers()
        given = np.shape(goals)
        if np.shape(state) != buffers.state.shape[1:] or len(given) != 2 or given[1] != buffers.goal.shape[2]:
            S, G = len(spec.state_names), len(spec.goal_names)
            raise self._misfit(np.shape(state), given, f"[{S}]", f"[L, {G}]")
        if given[0] < spec.reach:
            spec.seen(goals)  # says so
        buffers.state[0] = state
        buffers.goal[0] = np.asarray(goals)[self._rows]
        if not (np.isfinite(buffers.state).all() and np.isfinite(buffers.goal).all()):
            raise self._not_finite()
        self._session.run_with_iobinding(buffers.binding)
        plan: Float32 = buffers.plan[0].copy()
        return plan

    def plans(self, states: Array, goals: Array) -> Float32:
        """The same for N states: actions [N, P, A] from states [N, S] and goals [N, L, G], or [L, G] for all."""
        state, goal = self._inputs(states, goals)
        if not (np.isfinite(state).all() and np.isfinite(goal).all()):
            raise self._not_finite()
        return self.evaluate(state, goal)

    def warm_up(self, rows: int, repeats: int = 3) -> None:
        super().warm_up(rows, repeats)
        for _ in range(repeats):
            self.plan(np.zeros(len(self.spec.state_names)), np.zeros((self.spec.reach, len(self.spec.goal_names))))

    def _buffers(self) -> _Buffers:
        """Of the calling thread."""
        found: _Buffers | None = getattr(self._of_thread, "buffers", None)
        if found is None:
            found = self._of_thread.buffers = _Buffers(self._session, self.spec, self.OUTPUT)
        return found

    def _not_finite(self) -> ModelError:
        return ModelError(f"{self.path}: the state or the goal has entries that are not finite, or beyond float32")

    def _check_prediction(self) -> None:
        super()._check_prediction()
        plan = self.evaluate(*self._rest(2))
        if np.abs(plan).max() > 1:
            raise ModelError(f"{self.path}: its actions at rest are not within [-1, 1]")
