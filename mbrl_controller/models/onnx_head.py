# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the heads in ONNX Runtime share: loading, checks, and calls from several threads."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from mbrl_controller.base.errors import ModelError, one_line
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadKind, HeadSpec
from mbrl_controller.models.onnx_file import check_tensors, open_file
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array

Float32 = NDArray[np.float32]
HeadT = TypeVar("HeadT", bound="OnnxHead")


class OnnxHead(ABC):
    """(state [N, S], goal [N, K, G]) -> output, if `input_shapes` says nothing else. Made by `load`."""

    KINDS: ClassVar[tuple[HeadKind, ...]]
    OUTPUT: ClassVar[str]

    def __init__(self, session: ort.InferenceSession, spec: HeadSpec, path: Path, digest: str) -> None:
        self._session = session
        self.spec = spec
        self.path = path
        self.digest = digest  # SHA-256 (hex) of the file
        self._rows = np.array(spec.goal_steps) - 1
        self._of_thread = threading.local()  # the planner's thread and the tick's may ask at the same time

    @classmethod
    def load(
        cls: type[HeadT],
        source: ModelFile | Path | str,
        *,
        task: Task | None = None,
        action: ActionSpace | None = None,
        threads: int = 1,
    ) -> HeadT:
        """Load and check a head's file; raises ModelError with the file and the reason.

        Args:
            source: a path, or a file that was read before.
            task: with `action`, the head must have been made for them.
            action: see `task`.
            threads: of ONNX Runtime.
        """
        file = source if isinstance(source, ModelFile) else ModelFile.read(source)
        path = file.path
        session, metadata = open_file(file, threads)
        spec = HeadSpec.from_metadata(metadata, str(path))
        if spec.kind not in cls.KINDS:
            raise ModelError(f"{path}: it is a {spec.kind}, where a {' or '.join(cls.KINDS)} is needed")
        cls._check_interface(session, spec, path)
        if task is not None and action is not None:
            try:
                spec.check_fits(task, action)
            except ModelError as error:
                raise ModelError(f"{path}: {error}") from error
        head = cls(session, spec, path, file.sha256)
        head._check_prediction()
        return head

    @classmethod
    def input_shapes(cls, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        """Shape of a row of each of the graph's inputs, in order."""
        return {"state": (len(spec.state_names),), "goal": (len(spec.goal_steps), len(spec.goal_names))}

    @classmethod
    @abstractmethod
    def output_shape(cls, spec: HeadSpec, rows: int | None) -> tuple[int | None, ...]:
        """Shape of the graph's output for so many rows; None: any number."""

    def warm_up(self, rows: int, repeats: int = 3) -> None:
        """Evaluate so many rows a few times, so that the first tick allocates nothing."""
        rest = self._rest(rows)
        for _ in range(repeats):
            self.evaluate(*rest)

    def evaluate(self, *inputs: Float32) -> Float32:
        """The graph's output; inputs in the order of `input_shapes`."""
        fed = dict(zip(self.input_shapes(self.spec), inputs, strict=True))
        output: Float32 = self._session.run([self.OUTPUT], fed)[0]
        return output

    def _inputs(self, states: Array, goals: Array) -> tuple[Float32, Float32]:
        """Contiguous inputs of the graph from states [N, S] and goals [N, L, G], or [L, G] for all states."""
        S, G = len(self.spec.state_names), len(self.spec.goal_names)
        state, given = np.asarray(states), np.shape(goals)
        if state.ndim != 2 or state.shape[1] != S or len(given) not in (2, 3) or given[-1] != G:
            raise self._misfit(np.shape(states), given, f"[N, {S}]", f"[L, {G}] or [N, L, {G}]")
        if len(given) == 3 and given[0] != len(state):
            raise self._misfit(np.shape(states), given, f"[N, {S}]", f"[L, {G}] or [N, L, {G}]")
        seen = np.asarray(self.spec.seen(goals), dtype=np.float32)
        goal = np.broadcast_to(seen, (len(state), *seen.shape[-2:]))
        return np.ascontiguousarray(state, dtype=np.float32), np.ascontiguousarray(goal)

    def _misfit(self, state: tuple[int, ...], goals: tuple[int, ...], wanted: str, goals_wanted: str) -> ModelError:
        return ModelError(f"{self.path}: state {state} and goals {goals} do not fit {wanted} and {goals_wanted}")

    def _rest(self, rows: int) -> tuple[Float32, ...]:
        return tuple(np.zeros((rows, *shape), np.float32) for shape in self.input_shapes(self.spec).values())

    def _check_prediction(self) -> None:
        """Evaluate once at rest: a file with the right interface may still fail to run."""
        expected = self.output_shape(self.spec, 2)
        try:
            result = self.evaluate(*self._rest(2))
        except Exception as error:
            raise ModelError(f"{self.path}: it cannot be run: {one_line(error)}") from error
        if result.shape != expected or not np.isfinite(result).all():
            raise ModelError(f"{self.path}: its output at rest is not a finite {expected} array")

    @classmethod
    def _check_interface(cls, session: ort.InferenceSession, spec: HeadSpec, path: Path) -> None:
        inputs: dict[str, list[int | None]] = {n: [None, *shape] for n, shape in cls.input_shapes(spec).items()}
        outputs = {cls.OUTPUT: list(cls.output_shape(spec, None))}
        check_tensors(session, path, inputs, outputs)
