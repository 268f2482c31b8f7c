"""From a version's name to a model that the controller can plan with."""

from __future__ import annotations

from mbrl_controller.episodes.contract import RobotContract
from mbrl_controller.nodes.controller_options import ControllerOptions
from mbrl_controller.planning.onnx_ensemble import OnnxEnsemble
from mbrl_controller.planning.served_model import ServedModel
from mbrl_controller.registry import Registry


def load_model(contract: RobotContract, options: ControllerOptions) -> ServedModel:
    """The model that the options name, checked against the contract and warmed up; raises MbrlError."""
    version = Registry(options.models_dir or None).resolve(contract.task.name, options.model_version)
    card = version.check_digest()
    ensemble = OnnxEnsemble.load(version.model, task=contract.task, action=contract.action, threads=options.threads)
    planner = options.make_planner(len(contract.action)).config
    ensemble.warm_up(planner.candidates, planner.horizon)
    return ServedModel(ensemble, card.spec.version or version.name)
