# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a tick's plan costs by default: config/tasks.yaml's options, and the file that serves on this processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark import gemm
from mbrl_controller.benchmark.subprocess_run import reason
from mbrl_controller.benchmark.timing import in_turn, one_core
from mbrl_controller.benchmark.workload import CANDIDATES, HORIZON, MEMBERS, layer_widths, served

LIBRARIES = {"numpy": gemm.numpy_products, "onnxruntime": gemm.onnxruntime_products}


def measure(tasks: Sequence[str], repeats: int) -> dict[str, Any]:
    """For each task processor time of a plan and of the full work, called in turn on one core and thread.

    `cpu_ms` is of all that the planner's thread does in a tick, also where the policy acts; `ratio_to_full_gemm` is to
    the fp32 products, by the faster library here, of 700 candidates, 7 steps and 3 members with the served network's
    layers. A task that cannot be measured has the reason under `skipped`.
    """
    with one_core():
        return {task: _measured(task, repeats) for task in tasks}


def _measured(task: str, repeats: int) -> dict[str, Any]:
    try:
        plan = served(task, by_speed=True)
    except MbrlError as error:
        return {"skipped": reason(error)}
    core, spec = plan.core, plan.model.ensemble.spec
    request = core.prepare(plan.rest(), plan.goal, 0.0)
    functions: dict[str, Callable[[], object]] = {"plan": lambda: core.solve(request)}
    for name, products in LIBRARIES.items():
        try:
            functions[name] = products(MEMBERS, layer_widths(spec), CANDIDATES, HORIZON)
        except ModuleNotFoundError:  # onnx, to write the products down; NumPy is always there
            continue
    cpu_ms = {name: 1e3 * float(np.median(times.cpu)) for name, times in in_turn(functions, repeats).items()}
    full = min(cpu_ms[name] for name in LIBRARIES if name in cpu_ms)
    config, solution = core.planner.config, core.solve(request)
    return {
        "acts": core.acting,
        "network_evaluations": solution.network_evaluations,
        "cpu_ms": cpu_ms["plan"],
        "ratio_to_full_gemm": cpu_ms["plan"] / full,
        "file": plan.model.ensemble.path.name,
        "why": plan.model.choice,
        "version": plan.model.version,
        "full_gemm_cpu_ms": full,
        "candidates": solution.plan.evaluated,
        "horizon": config.horizon,
        "iterations": config.iterations,
    }
