# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Runs a model file in torch; on a GPU a whole horizon is one CUDA graph."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from mbrl_controller.base.errors import ModelError, one_line
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.import_onnx import network_of
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.onnx_ensemble import Float32, OnnxEnsemble
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array

# A control step needs up to three sizes: the candidates, the chosen plan's first step, and the commands in flight.
MAX_CACHED_SIZES = 4
WARM_UPS = 3  # before a capture, as torch's notes on CUDA graphs require
TOLERANCE = 1e-3  # to ONNX Runtime, in units of one step's change: rounding only


class TorchEnsemble:
    """(state [E, N, S], action [N, A]) -> next state [E, N, S], SI units, float32. Made by `load`.

    Same interface as `OnnxEnsemble`. Calls from several threads are serialised: they share buffers.
    """

    def __init__(self, network: DynamicsEnsemble, spec: ModelSpec, path: Path, digest: str) -> None:
        self.spec = spec
        self.path = path
        self.digest = digest  # SHA-256 (hex) of the file
        self.size = spec.ensemble_size
        self.delta_scale = np.array(spec.delta_scale)
        self.device = network.delta_std.device
        self.capture_failure = ""  # why the GPU runs step by step; empty while graphs can be captured
        self._network = network
        self._captures = self.device.type == "cuda"
        self._stream = torch.cuda.Stream(self.device) if self._captures else None
        self._horizons: OrderedDict[tuple[int, int], _Horizon] = OrderedDict()  # by (N, H), least recently used first
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        source: ModelFile | Path | str,
        *,
        task: Task | None = None,
        action: ActionSpace | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> TorchEnsemble:
        """Check an fp32 model file as `OnnxEnsemble.load` does; raises ModelError naming the file and the reason.

        Also compares its predictions with those of ONNX Runtime on random states.

        Args:
            source: Model file, or its path.
            task: Task that the model must fit.
            action: Action space that the model must fit.
            device: As in torch; "auto": a GPU if there is one, else the CPU.
            threads: On the CPU, torch's threads in this whole process; None: unchanged.
        """
        file = source if isinstance(source, ModelFile) else ModelFile.read(source)
        reference = OnnxEnsemble.load(file, task=task, action=action)
        spec, path = reference.spec, reference.path
        if spec.precision != "fp32":
            raise ModelError(f"{path}: its weights are rounded to {spec.precision}; backend torch needs an fp32 file")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu" and threads is not None:
            torch.set_num_threads(threads)
        network = network_of(file, spec)
        try:
            network = network.to(device).requires_grad_(False)
            model = cls(network, spec, path, reference.digest)
            if model.device.type == "cuda":
                torch.cuda.synchronize(model.device)  # the weights are there before another stream reads them
        except (RuntimeError, AssertionError) as error:  # an unknown or absent device; a GPU that is full
            raise ModelError(f"{path}: cannot be moved to {device}: {one_line(error)}") from error
        model._compare(reference)
        return model

    @property
    def device_name(self) -> str:
        """Device for display: the GPU's name, or cpu."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    def predict(self, state: Array, action: Array) -> Float32:
        """Next states [E, N, S] of state [E, N, S], or [N, S] for all members, under targets action [N, A]."""
        S, A = len(self.spec.state_names), len(self.spec.action_names)
        N = len(action)
        if np.shape(state) not in ((self.size, N, S), (N, S)) or np.shape(action) != (N, A):
            raise ModelError(
                f"{self.path}: state {np.shape(state)} and action {np.shape(action)} do not fit "
                f"[{self.size}, N, {S}] and [N, {A}]"
            )
        members = np.broadcast_to(np.asarray(state), (self.size, N, S))
        with torch.inference_mode():
            inputs = (torch.tensor(v, dtype=torch.float32, device=self.device) for v in (members, action))
            after: Float32 = self._network(*inputs).cpu().numpy()
            return after

    def rollout(self, state: Array, actions: Array) -> Float32:
        """States [E, N, H, S] after each of the targets actions [N, H, A] from one state [S].

        Each member continues from its own prediction, as in PDDM. The result is a fresh array in memory order
        [H, E, N, S]. A size (N, H) not among the last four used is prepared first: on a GPU that takes longer than a
        rollout. Raises ModelError for arrays of another size and if the device fails.
        """
        S, A = len(self.spec.state_names), len(self.spec.action_names)
        if np.shape(state) != (S,) or np.ndim(actions) != 3 or np.shape(actions)[2] != A:
            raise ModelError(
                f"{self.path}: state {np.shape(state)} and actions {np.shape(actions)} do not fit [{S}] and [N, H, {A}]"
            )
        N, H, _ = actions.shape
        try:
            with self._lock, torch.inference_mode(), torch.cuda.stream(self._stream):
                states = self._prepared(N, H)(state, actions)
        except RuntimeError as error:  # a GPU that is full, or gone
            raise ModelError(f"{self.path}: {self.device_name}: {one_line(error)}") from error
        return states.transpose(1, 2, 0, 3)

    def warm_up(self, candidates: int, horizon: int, repeats: int = 3) -> None:
        """Prepare the sizes in use, so that the first tick need not capture and allocate."""
        S, A = len(self.spec.state_names), len(self.spec.action_names)
        for N, H in ((candidates, horizon), (1, 1)):  # (1, 1): disagreement at the chosen action
            for _ in range(repeats):
                self.rollout(np.zeros(S), np.zeros((N, H, A)))

    def _prepared(self, candidates: int, horizon: int) -> _Horizon:
        size = (candidates, horizon)
        found = self._horizons.get(size)
        if found is None:
            found = _Horizon(self._network, candidates, horizon)
            if self._captures:
                try:
                    found.capture(self._stream)
                except RuntimeError as error:
                    # Step by step gives the same numbers more slowly, and the deadline is monitored: keep planning.
                    self._captures, self.capture_failure = False, one_line(error)
            while len(self._horizons) >= MAX_CACHED_SIZES:
                self._horizons.popitem(last=False)
            self._horizons[size] = found
        self._horizons.move_to_end(size)
        return found

    def _compare(self, reference: OnnxEnsemble) -> None:
        """Compare the network on this device with the file, also far out where inputs are clamped."""
        network, rng = self._network, np.random.default_rng(0)
        linear = network.linear.tolist()
        std = network.state_std.cpu().numpy()
        state = rng.normal(size=(64, len(std))) * std * np.repeat([1.0, 10.0], 32)[:, None]
        state[:, linear] += network.feature_mean[: len(linear)].cpu().numpy()
        # Older files limit a target differently if a joint is far outside its limits, which no joint is.
        joints = network.joint.tolist()
        state[:, joints] = np.clip(state[:, joints], self.spec.action_lower, self.spec.action_upper)
        action = rng.uniform(self.spec.action_lower, self.spec.action_upper, (64, len(self.spec.action_names)))
        try:
            difference = np.abs(self.predict(state, action) - reference.predict(state, action))
        except RuntimeError as error:
            raise ModelError(f"{self.path}: cannot run on {self.device}: {one_line(error)}") from error
        # A state far from zero has coarse float32 steps, which are not the network's fault.
        worst = float(np.max((difference - 4 * np.spacing(np.abs(state, dtype=np.float32))) / self.delta_scale))
        if not worst <= TOLERANCE:
            raise ModelError(
                f"{self.path}: on {self.device} its prediction differs from ONNX Runtime's by {worst:.2g} of one "
                f"step's change; allowed: {TOLERANCE}"
            )


class _Horizon:
    """Rollout of one size (N, H) in fixed buffers, as CUDA graphs need."""

    def __init__(self, network: DynamicsEnsemble, candidates: int, horizon: int) -> None:
        N, H = candidates, horizon
        E, S, A = network.size, len(network.delta_std), len(network.lower)
        device = network.delta_std.device
        self._network, self._shape = network, (E, N, S)
        self._on_device = [torch.zeros(shape, device=device) for shape in ((S,), (H, N, A), (H, E, N, S))]
        self._on_host = self._on_device
        if device.type == "cuda":  # page-locked memory: copies are direct and do not block
            self._on_host = [torch.zeros(buffer.shape, pin_memory=True) for buffer in self._on_device]
        self._run = self._step_by_step

    def __call__(self, state: Array, actions: Array) -> Float32:
        """States [H, E, N, S] (a copy) after targets `actions` [N, H, A] from `state` [S]."""
        state_in, targets_in, states_out = (buffer.numpy() for buffer in self._on_host)
        state_in[:] = state
        targets_in[:] = actions.transpose(1, 0, 2)
        apart = self._on_host is not self._on_device
        if apart:
            for here, there in zip(self._on_host[:2], self._on_device[:2], strict=True):
                there.copy_(here, non_blocking=True)
        self._run()
        if apart:
            self._on_host[2].copy_(self._on_device[2], non_blocking=True)
            torch.cuda.current_stream(self._on_device[2].device).synchronize()
        return states_out.copy()

    def capture(self, stream: torch.cuda.Stream | None) -> None:
        """Record the horizon as one CUDA graph on `stream`, the current one; raises RuntimeError on failure."""
        for _ in range(WARM_UPS):
            self._step_by_step()
        graph = torch.cuda.CUDAGraph()
        # During the load of a new version another thread still plans with the old one: restrict only this thread.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self._step_by_step()
        self._run = graph.replay

    def _step_by_step(self) -> None:
        state, targets, states = self._on_device
        current = state.expand(self._shape)
        for step, target in enumerate(targets):
            current = self._network(current, target)
            states[step].copy_(current)
