# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A learned ensemble in ONNX Runtime, the form in which a model reaches the robot. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from mbrl_controller.base.errors import ModelError, one_line
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.golden_samples import INT8_RMS_TOLERANCE, GoldenSamples
from mbrl_controller.models.onnx_file import check_tensors, open_file
from mbrl_controller.models.onnx_session import INT8_VARIABLE, Kernels, int8_kernels, int8_mode
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array

Float32 = NDArray[np.float32]


class OnnxEnsemble:
    """(state [E, N, S], action [N, A]) -> next state [E, N, S], SI units, float32. Made by `load`."""

    def __init__(self, session: ort.InferenceSession, spec: ModelSpec, path: Path, digest: str) -> None:
        self._session = session
        self.spec = spec
        self.path = path
        self.digest = digest  # SHA-256 (hex) of the file
        self.size = spec.ensemble_size
        self.int8_kernels: Kernels | Literal[""] = ""  # of its 8-bit products; empty for an fp32 file
        self._binding = session.io_binding()
        self._states: Float32 = np.empty(0, dtype=np.float32)
        self.delta_scale = np.array(spec.delta_scale or (1.0,) * len(spec.state_names))

    @classmethod
    def load(
        cls,
        source: ModelFile | Path | str,
        *,
        task: Task | None = None,
        action: ActionSpace | None = None,
        threads: int = 1,
    ) -> OnnxEnsemble:
        """Load and check a model file; raises ModelError with the file and the reason.

        Args:
            source: a path, or a file that was read before.
            task: with `action`, the model must have been made for them.
            action: see `task`.
            threads: of ONNX Runtime; with one, timing varies least on a busy machine.
        """
        file = source if isinstance(source, ModelFile) else ModelFile.read(source)
        path = file.path
        session, metadata = open_file(file, threads)
        spec = ModelSpec.from_metadata(metadata, str(path))
        _check_interface(session, spec, path)
        if task is not None and action is not None:
            try:
                spec.check_fits(task, action)
            except ModelError as error:
                raise ModelError(f"{path}: {error}") from error
        model = cls(session, spec, path, file.sha256)
        model._check_prediction()
        if spec.precision == "int8":
            if int8_mode() == "off":
                raise ModelError(f"{path}: 8-bit files are refused here ({INT8_VARIABLE}=off); use the fp32 file")
            model.int8_kernels = int8_kernels()
            model._check_golden_samples(GoldenSamples.from_metadata(metadata, spec, str(path)))
        return model

    def predict(self, state: Array, action: Array) -> Float32:
        """Next states [E, N, S] of state [E, N, S], or [N, S] for all members alike, under targets action [N, A]."""
        S, A = len(self.spec.state_names), len(self.spec.action_names)
        N = len(action)
        if np.shape(state) not in ((self.size, N, S), (N, S)) or np.shape(action) != (N, A):
            raise ModelError(
                f"{self.path}: state {np.shape(state)} and action {np.shape(action)} do not fit "
                f"[{self.size}, N, {S}] and [N, {A}]"
            )
        members = np.broadcast_to(np.asarray(state, dtype=np.float32), (self.size, N, S))
        return self._step(np.ascontiguousarray(members), np.ascontiguousarray(action, dtype=np.float32))

    def rollout(self, state: Array, actions: Array) -> Float32:
        """States [E, N, H, S] after each of the targets actions [N, H, A] from one state [S].

        Each member continues from its own prediction, as in PDDM. The result is a view of a buffer that the next call
        overwrites, so that a plan allocates nothing; its memory order is [H, E, N, S]. Not thread-safe.
        """
        S, A = len(self.spec.state_names), len(self.spec.action_names)
        if np.shape(state) != (S,) or np.ndim(actions) != 3 or np.shape(actions)[2] != A:
            raise ModelError(
                f"{self.path}: state {np.shape(state)} and actions {np.shape(actions)} do not fit [{S}] and [N, H, {A}]"
            )
        N, H, _ = actions.shape
        targets = np.ascontiguousarray(actions.transpose(1, 0, 2), dtype=np.float32)
        count = (H + 1) * self.size * N * S
        if len(self._states) < count:
            self._states = np.empty(count, dtype=np.float32)
        states = self._states[:count].reshape(H + 1, self.size, N, S)
        states[0] = state
        if N:
            for step in range(H):
                self._step_into(states[step], targets[step], states[step + 1])
        return states[1:].transpose(1, 2, 0, 3)

    def warm_up(self, candidates: int, horizon: int, repeats: int = 3) -> None:
        """Predict a few times at the size of real use, so that the first tick allocates nothing."""
        S, A = len(self.spec.state_names), len(self.spec.action_names)
        for _ in range(repeats):
            self.rollout(np.zeros(S), np.zeros((candidates, horizon, A)))

    def _step(self, state: Float32, action: Float32) -> Float32:
        after: Float32 = self._session.run(["next_state"], {"state": state, "action": action})[0]
        return after

    def _step_into(self, state: Float32, action: Float32, result: Float32) -> None:
        """The same as `_step` without a copy: reads and writes the arrays themselves, which must be contiguous."""
        bind = self._binding
        bind.bind_input("state", "cpu", 0, np.float32, state.shape, state.ctypes.data)
        bind.bind_input("action", "cpu", 0, np.float32, action.shape, action.ctypes.data)
        bind.bind_output("next_state", "cpu", 0, np.float32, result.shape, result.ctypes.data)
        self._session.run_with_iobinding(bind)

    def _check_golden_samples(self, samples: GoldenSamples) -> None:
        members = np.repeat(samples.state[None], self.size, axis=0)
        error = samples.error(self._step(members, samples.action), self.delta_scale)
        if not error <= INT8_RMS_TOLERANCE:
            raise ModelError(
                f"{self.path}: on this processor its 8-bit predictions differ from its network's by {error:.2g} of one "
                f"step's change (allowed: {INT8_RMS_TOLERANCE}); use the fp32 file"
            )

    def _check_prediction(self) -> None:
        """Predict once from rest: a file with the right interface may still fail to run."""
        spec = self.spec
        shape = (spec.ensemble_size, 2, len(spec.state_names))
        try:
            result = self._step(np.zeros(shape, np.float32), np.zeros((2, len(spec.action_names)), np.float32))
        except Exception as error:
            raise ModelError(f"{self.path}: it cannot be run: {one_line(error)}") from error
        if result.shape != shape or not np.isfinite(result).all():
            raise ModelError(f"{self.path}: its prediction from rest is not a finite {shape} array")


def _check_interface(session: ort.InferenceSession, spec: ModelSpec, path: Path) -> None:
    E, S, A = spec.ensemble_size, len(spec.state_names), len(spec.action_names)
    inputs = {"state": [E, None, S], "action": [None, A]}
    outputs = {"next_state": [E, None, S]}
    check_tensors(session, path, inputs, outputs)
    sizes = {"state_units": S, "action_units": A, "action_lower": A, "action_upper": A, "action_max_rate": A}
    if spec.delta_scale:
        sizes["delta_scale"] = S
    wrong = [f"{name} has {len(getattr(spec, name))} entries, not {n}" for name, n in sizes.items()
             if len(getattr(spec, name)) != n]  # fmt: skip
    wrong += [f"{name} occur twice" for name in ("state_names", "action_names")
              if len(set(getattr(spec, name))) != len(getattr(spec, name))]  # fmt: skip
    if not all(0 <= i < S for i in spec.periodic):
        wrong.append(f"periodic entries {spec.periodic} lie outside the state")
    if not all(0 < scale < np.inf for scale in spec.delta_scale):
        wrong.append("delta_scale must be positive and finite")
    if wrong:
        raise ModelError(f"{path}: bad model description: {'; '.join(wrong)}")
