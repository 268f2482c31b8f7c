# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A whole rollout by each backend: ONNX Runtime on one core, and torch on the GPU where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.benchmark.settings import Settings, UnavailableError
from mbrl_controller.benchmark.subprocess_run import isolated
from mbrl_controller.benchmark.timing import in_turn, percentiles
from mbrl_controller.benchmark.workload import CANDIDATES, HORIZON, model_files
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble


def run(settings: Settings) -> dict[str, Any]:
    """The part: see `measure`."""
    return isolated("torch_part", "measure", task=settings.task, repeats=10 if settings.quick else 100)


def measure(task: str, repeats: int, candidates: int = CANDIDATES, horizon: int = HORIZON) -> dict[str, Any]:
    """Wall time (ms) of a rollout of the task's current fp32 model, NumPy in and out. Needs torch."""
    from mbrl_controller.benchmark import torch_backend

    file = model_files(task)[0].get("fp32")
    if file is None:
        raise UnavailableError(f"the current version of {task} has no fp32 file, which torch needs")
    rows: list[dict[str, Any]] = []
    found = torch_backend.measure(file, candidates, horizon, repeats)
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
