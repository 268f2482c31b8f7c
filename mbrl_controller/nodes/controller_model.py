# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From a version's name to a model that the controller can plan with."""

from __future__ import annotations

import os
import threading
from typing import Any

from mbrl_controller.base.errors import MbrlError, ModelError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.loop import start_thread
from mbrl_controller.control.steps import ControlModel
from mbrl_controller.models.loading import load_ensemble
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.onnx_session import u8s8_saturates
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.sandbox import try_out
from mbrl_controller.models.selection import choose_file
from mbrl_controller.models.served_model import LearnedEnsemble, ServedModel
from mbrl_controller.nodes.controller_options import ControllerOptions

BESIDE_NICENESS = 10


class VersionModel(ServedModel):
    """A served version; `fallback` says why it is not its 8-bit file that serves, empty where it does or is none."""

    def __init__(self, ensemble: LearnedEnsemble, version: str, fallback: str) -> None:
        super().__init__(ensemble, version)
        self.fallback = fallback


def identity(model: ControlModel) -> dict[str, object]:
    """What /diagnostics tells of a model."""
    values: dict[str, object] = {"model version": model.version}
    if isinstance(model, VersionModel):
        values |= {
            "model precision": model.ensemble.spec.precision,
            "model 8-bit kernels": _kernels(model.ensemble),
            "model fallback": model.fallback,
            "model digest": model.ensemble.digest,
        }
    return values


def _kernels(ensemble: LearnedEnsemble) -> str:
    """What multiplies a model's 8-bit numbers, and why; empty where it has none."""
    kernels = ensemble.int8_kernels if isinstance(ensemble, OnnxEnsemble) else ""
    return f"{kernels} (U8S8 saturates on this processor)" if kernels == "U8U8" and u8s8_saturates() else kernels


def warn_of_fallback(logger: Any, model: VersionModel) -> None:
    """Log why a version's fp32 file is used and not its 8-bit one."""
    if model.fallback:
        logger.warning(f"model {model.version} serves its fp32 file, not the 8-bit one: {model.fallback}")


def load_model(contract: RobotContract, options: ControllerOptions) -> VersionModel:
    """The model that the options name, tried out elsewhere first, checked against the contract and warmed up; raises
    MbrlError."""
    version = Registry(options.models_dir or None).resolve(contract.task.name, options.model_version)
    task, action = contract.task, contract.action
    planner = options.make_planner(len(contract.action)).config
    chosen = choose_file(
        version,
        options.precision,
        options.backend,
        task=task,
        action=action,
        try_out=lambda file: try_out(file, planner.num_samples, planner.horizon),
    )
    ensemble = load_ensemble(chosen.file, options.backend, task=task, action=action, threads=options.threads)
    ensemble.warm_up(planner.num_samples, planner.horizon)
    return VersionModel(ensemble, chosen.card.spec.version or version.name, chosen.fallback)


def load_beside(contract: RobotContract, options: ControllerOptions) -> VersionModel:
    """load_model on a thread that yields the processor to the planner; raises MbrlError."""
    result: list[VersionModel | Exception] = []

    def work() -> None:
        if options.threads == 1:  # further ONNX Runtime threads would inherit it, and plan with it later
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BESIDE_NICENESS)
        try:
            result.append(load_model(contract, options))
        except Exception as error:
            result.append(error)

    start_thread(work, "load_model").join()
    if isinstance(result[0], MbrlError):
        raise result[0]
    if isinstance(result[0], Exception):
        raise ModelError(f"{type(result[0]).__name__}: {result[0]}") from result[0]
    return result[0]
