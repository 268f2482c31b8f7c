"""From a version's name to a model that the controller can plan with."""

from __future__ import annotations

import os
import threading

from mbrl_controller.control.loop import start_thread
from mbrl_controller.episodes.contract import RobotContract
from mbrl_controller.errors import MbrlError, ModelError
from mbrl_controller.nodes.controller_options import ControllerOptions
from mbrl_controller.planning.model_loading import load_ensemble
from mbrl_controller.planning.served_model import ServedModel
from mbrl_controller.registry import Registry

BESIDE_NICENESS = 10


def load_model(contract: RobotContract, options: ControllerOptions) -> ServedModel:
    """The model that the options name, checked against the contract and warmed up; raises MbrlError."""
    version = Registry(options.models_dir or None).resolve(contract.task.name, options.model_version)
    card = version.check_digest()
    task, action = contract.task, contract.action
    ensemble = load_ensemble(version.model, options.backend, task=task, action=action, threads=options.threads)
    planner = options.make_planner(len(contract.action)).config
    ensemble.warm_up(planner.candidates, planner.horizon)
    return ServedModel(ensemble, card.spec.version or version.name)


def load_beside(contract: RobotContract, options: ControllerOptions) -> ServedModel:
    """load_model on a thread that yields the processor to the planner; raises MbrlError."""
    result: list[ServedModel | Exception] = []

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
