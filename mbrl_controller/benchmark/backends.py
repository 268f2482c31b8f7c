# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A whole rollout by each backend: ONNX Runtime on one core, and torch on the GPU where there is one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.benchmark.settings import Settings, UnavailableError
from mbrl_controller.benchmark.subprocess_run import run_in_subprocess
from mbrl_controller.benchmark.timing import in_turn, percentiles
from mbrl_controller.benchmark.workload import CANDIDATES, HORIZON, model_files
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble


def run(settings: Settings) -> dict[str, Any]:
    """The part: see `measure`."""
    return run_in_subprocess(
        measure, task=settings.task, contract_file=settings.contract_file, repeats=10 if settings.quick else 100
    )


def measure(
    task: str,
    repeats: int,
    candidates: int = CANDIDATES,
    horizon: int = HORIZON,
    contract_file: str | None = None,
) -> dict[str, Any]:
    """Wall time (ms) of a rollout of the task's current fp32 model, NumPy in and out. Needs torch."""
    file = model_files(task, contract_file)[0].get("fp32")
    if file is None:
        raise UnavailableError(f"the current version of {task} has no fp32 file, which torch needs")
    rows: list[dict[str, Any]] = []
    found = measure_torch(file, candidates, horizon, repeats)
    rows.append({"backend": "torch", **found})
    model = OnnxEnsemble.load(file)
    state, actions = (
        np.zeros(len(model.spec.state_names)),
        np.zeros((candidates, horizon, len(model.spec.action_names))),
    )
    wall = 1e3 * in_turn({"": lambda: model.rollout(state, actions)}, repeats)[""].wall
    p = percentiles("", wall, (50, 99))
    rows.append({"backend": "onnx", "device": "CPU", "wall_ms_median": p["_p50"], "wall_ms_p99": p["_p99"]})
    return {"candidates": candidates, "horizon": horizon, "rows": rows}


def measure_torch(path: Path, candidates: int, horizon: int, repeats: int = 50) -> dict[str, float | str]:
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
