# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl study kinds`: what are the other kinds of models worth, beside what is there without them?

Each seed draws which episodes are held out, and the networks' weights; all is judged on the episodes held out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark.kinds_between import compare_between
from mbrl_controller.benchmark.kinds_inverse import compare_inverse
from mbrl_controller.benchmark.kinds_novelty import compare_novelty
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.window_config import WindowFitConfig
from mbrl_controller.models.loading import LoadedModel, load_model
from mbrl_controller.models.onnx_heads import HEADS
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.window_kinds import WINDOW_NAMES, WindowName
from mbrl_controller.rollouts.statistics import student
from mbrl_controller.training.window_fit import fit_config, fit_window, read_log, window_spec

HOLDOUT = 0.25  # of the episodes
MIN_SEEDS = 2


@dataclass(frozen=True)
class KindsRequest:
    """What is compared. None: the default."""

    task: str
    kinds: tuple[WindowName, ...] = WINDOW_NAMES
    model: str = "current"  # whose ensemble predicts beside them
    episodes: Sequence[Path] | None = None
    seeds: int = 3
    options: dict[str, Any] = field(default_factory=dict)  # of WindowFitConfig
    contract: Path | None = None
    models_dir: Path | None = None
    threads: int = 1


def run(request: KindsRequest, on_stage: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """The figures: `rows`, one for each kind, measure and way, with its mean over seeds and their 95 % interval.

    Raises:
        MbrlError: something does not exist or fit, or no episode can be held out.
    """
    if request.seeds < MIN_SEEDS:
        raise MbrlError(f"--seeds {request.seeds}: an interval needs {MIN_SEEDS} at least")
    config = fit_config(request.options)
    contract = contract_for(request.task, request.contract)
    version = Registry(request.models_dir).resolve(request.task, request.model, contract.file.robot)
    model = load_model(version, "fp32", task=contract.task, action=contract.action)
    data = read_log(request.task, request.episodes, contract, on_stage=on_stage).data
    found: dict[tuple[str, str, str], list[float]] = {}
    for seed in range(request.seeds):
        train, held_out = data.split_by_episode(HOLDOUT, f"study {seed}")
        held_out.require(2, 1, "data to hold out")
        for kind in request.kinds:
            on_stage(f"seed {seed}: {kind}")
            own = config.model_copy(update={"seed": seed})
            for (measure, way), value in _judged(kind, train, held_out, contract, own, model, request.threads).items():
                found.setdefault((kind, measure, way), []).append(value)
    rows = []
    for (name, measure, way), values in found.items():
        row = {"kind": name, "measure": measure, "way": way, "mean": float(np.mean(values))}
        rows.append(row | {"ci95": student(np.array(values)), "seeds": len(values)})
    return {"task": request.task, "model": version.name, "transitions": len(data), "episodes": len(data.episodes),
            "rows": rows}  # fmt: skip


def _judged(
    kind: WindowName,
    train: TransitionSet,
    held_out: TransitionSet,
    contract: RobotContract,
    config: WindowFitConfig,
    model: LoadedModel,
    threads: int,
) -> dict[tuple[str, str], float]:
    """Figures by measure and way."""
    fitted, _ = fit_window(kind, window_spec(kind, contract, config), train, None, contract, config, threads)
    with tempfile.TemporaryDirectory() as name:
        head: Any = HEADS[kind].load(export_head(fitted.network, Path(name) / f"{kind}.onnx"))
    if kind == "joint":
        return compare_novelty(head, model, held_out, contract.task)
    if kind in ("inverse", "multistep_inverse"):
        return compare_inverse(head, train, held_out, contract)
    return compare_between(head, model, held_out, contract.task)
