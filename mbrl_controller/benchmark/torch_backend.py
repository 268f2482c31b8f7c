# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a rollout takes with the torch backend, on the GPU where there is one."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np


def measure(path: Path, candidates: int, horizon: int, repeats: int = 50) -> dict[str, float | str]:
    """Wall time of a rollout [E, N, H, S] of the model file at `path`, from NumPy arrays to NumPy arrays.

    A rollout ends when its result is in the computer's own memory, so the device is waited for. Returns `device` (its
    name, and why its rollouts are not captured if they are not), `wall_ms_median` and `wall_ms_p99` over `repeats`.
    On the CPU, one thread. Raises ModelError for a file that must not be served, ModuleNotFoundError without torch.
    """
    from mbrl_controller.dynamics.torch_rollout import TorchEnsemble

    model = TorchEnsemble.load(Path(path), threads=1)
    model.warm_up(candidates, horizon)
    lower, upper = np.array(model.spec.action_lower), np.array(model.spec.action_upper)
    state = np.zeros(len(model.spec.state_names))
    actions = np.random.default_rng(0).uniform(lower, upper, (candidates, horizon, len(lower)))
    wall = np.empty(repeats)
    for i in range(repeats):
        began = time.perf_counter()
        model.rollout(state, actions)
        wall[i] = time.perf_counter() - began
    failure = f", step by step: {model.capture_failure}" if model.capture_failure else ""
    return {
        "device": model.device_name + failure,
        "wall_ms_median": float(1e3 * np.median(wall)),
        "wall_ms_p99": float(1e3 * np.percentile(wall, 99)),
    }
