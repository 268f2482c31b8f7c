# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Loads the model that the options name."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from mbrl_controller.base.errors import MbrlError, ModelError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.loop import start_thread
from mbrl_controller.control.steps import ControlModel, NoModel
from mbrl_controller.models.card import Version
from mbrl_controller.models.head_loading import load_heads
from mbrl_controller.models.loading import LearnedEnsemble, LoadedModel, load_model
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.onnx_session import u8s8_saturates
from mbrl_controller.models.origin import check_robot
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.sandbox import check_in_sandbox
from mbrl_controller.nodes.controller_options import ControllerOptions
from mbrl_controller.planning.catalog import PLANNERS

if TYPE_CHECKING:
    from mbrl_controller.simulation.identified import IdentifiedRollout
    from mbrl_controller.simulation.residual import ResidualRollout

BESIDE_NICENESS = 10


def identity(model: ControlModel) -> dict[str, object]:
    """A model's entries in /diagnostics."""
    values: dict[str, object] = {"model version": model.version or "none"}
    for kind in ("policy", "value", "reward"):
        head = getattr(model, kind, None)
        values[f"{kind} digest"] = "none" if head is None else head.digest
    if isinstance(model, LoadedModel):
        values |= {
            "model precision": model.ensemble.spec.precision,
            "model 8-bit kernels": _kernels(model.ensemble),
            "model fallback": model.fallback,
            "model file chosen": model.choice,
            "model digest": model.ensemble.digest,
        }
    return values


def _kernels(ensemble: LearnedEnsemble) -> str:
    """Kernels of a model's 8-bit products, and why; empty for an fp32 model."""
    kernels = ensemble.int8_kernels if isinstance(ensemble, OnnxEnsemble) else ""
    return f"{kernels} (U8S8 saturates on this processor)" if kernels == "U8U8" and u8s8_saturates() else kernels


def warn_of_fallback(logger: Any, model: ControlModel) -> None:
    """Log why a version's fp32 file is used and not its 8-bit one."""
    if isinstance(model, LoadedModel) and model.fallback:
        logger.warning(f"model {model.version} serves its fp32 file, not the 8-bit one: {model.fallback}")


def make_model(contract: RobotContract, options: ControllerOptions) -> ControlModel:
    """The model that is planned with, or that has the policy that acts; raises MbrlError."""
    return load_version(contract, options) if options.needs_model else NoModel()


def describe(model: ControlModel) -> str:
    """A model in the log."""
    if isinstance(model, LoadedModel):
        return f"model {model.version} ({model.ensemble.spec.precision})"
    latency = getattr(model, "latency", None)
    if latency is not None:
        return f"the simulator with the physics of {model.version} (command latency {latency:.3g} s: set delay_s to it)"
    what = f"{model.version}, a policy alone" if model.version else "no model"
    return f"{what}: delay and disagreement do not apply"


def version_named(contract: RobotContract, options: ControllerOptions) -> Version:
    """The version that the options name, as the registry has it now; raises RegistryError."""
    robot = "" if "robots" in options.mix else contract.file.robot
    return Registry(options.models_dir or None).resolve(contract.task.name, options.model_version, robot)


def load_version(contract: RobotContract, options: ControllerOptions) -> ControlModel:
    """The version that the options name, checked in a sandbox and warmed up; raises MbrlError."""
    if options.dynamics != "learned":
        return _load_simulator(contract, options)
    version = version_named(contract, options)
    card = version.card()
    check_robot(card.spec.robot, contract.file.robot, options.mix, version.name)
    if card.model_sha256 is None and options.acting != "controller":
        heads = load_heads(version, card, task=contract.task, action=contract.action, sandbox_rows=1)
        return NoModel(version.name, heads.policy)
    planner = options.make_planner(len(contract.action)).config
    return load_model(
        version,
        options.precision,
        options.backend,
        task=contract.task,
        action=contract.action,
        threads=options.threads,
        sandbox_size=(planner.batch, planner.horizon),
        gradients=options.acting != "distilled" and PLANNERS[options.planner].needs_gradients,
    )


def _load_simulator(contract: RobotContract, options: ControllerOptions) -> ControlModel:
    """The simulator with a version's fitted physics; raises MbrlError, also where MuJoCo is not installed."""
    try:
        from mbrl_controller.simulation.identified import IdentifiedRollout, find_simulated
        from mbrl_controller.simulation.residual import load_residual, read_residual
    except ModuleNotFoundError as error:
        raise MbrlError(
            f"parameter dynamics: {options.dynamics} plans with the simulator, for which {error.name} is not "
            f"installed: {how_to_install('sim')}, or set it to learned"
        ) from error
    registry = Registry(options.models_dir or None)
    found = find_simulated(registry, options.model_version, contract)
    planner = options.make_planner(len(contract.action)).config
    model: IdentifiedRollout | ResidualRollout
    if options.dynamics == "residual":
        file = read_residual(registry.resolve(contract.task.name, found.version))
        check_in_sandbox(file, planner.batch, planner.horizon)
        model = load_residual(contract, found.values, found.version, file, options.backend, options.threads)
    else:
        model = IdentifiedRollout(contract, found.values, found.version, options.threads)
    targets = np.tile(contract.action.neutral, (planner.batch, 1, 1))
    model.rollout(np.zeros(len(contract.task.state)), targets)  # the first tick then allocates nothing
    return model


def load_beside(contract: RobotContract, options: ControllerOptions) -> ControlModel:
    """load_version on a thread that yields the processor to the planner; raises MbrlError."""
    if not options.needs_model:
        raise MbrlError(
            f"planner {options.planner} needs no model: to plan with one, clean up, set planner.name to another "
            "planner, and configure again"
        )
    result: list[ControlModel | Exception] = []

    def work() -> None:
        if options.threads == 1:  # further ONNX Runtime threads would inherit it, and plan with it later
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BESIDE_NICENESS)
        try:
            result.append(load_version(contract, options))
        except Exception as error:
            result.append(error)

    start_thread(work, "load_model").join()
    if isinstance(result[0], MbrlError):
        raise result[0]
    if isinstance(result[0], Exception):
        raise ModelError(f"{type(result[0]).__name__}: {result[0]}") from result[0]
    return result[0]
