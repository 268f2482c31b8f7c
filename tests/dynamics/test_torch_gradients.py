# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Gradients of a whole plan's return: through the ensemble, the reward, the risk and the value behind the horizon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import array_api_compat
import numpy as np
import pytest
import torch

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.control.gradients import check_gradients
from mbrl_controller.control.network_count import CountedModel, NetworkCount
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.import_value import value_of
from mbrl_controller.dynamics.torch_gradients import TorchGradients
from mbrl_controller.dynamics.value_network import ValueNetwork
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.head_loading import Heads
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.loading import LoadedModel, load_ensemble, load_gradients
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.gradients import gradients_of
from mbrl_controller.planning.objective import RolloutObjective
from mbrl_controller.planning.risk import Risk
from mbrl_controller.planning.terminal_value import PessimisticValue

assert array_api_compat  # the file is skipped where it is missing
H, N = 4, 6
CONTRACTS = ("claw_valve.yaml", "adroit_baoding.yaml", "adroit_cube.yaml", "adroit_handwriting.yaml",
             "hands/allegro_v5.yaml")  # fmt: skip


def network_for(contract: RobotContract, seed: int = 0) -> tuple[DynamicsEnsemble, ModelSpec]:
    """A made-up network that moves objects by a few millimetres a step."""
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, 3, (24, 24))
    network = DynamicsEnsemble(spec, seed=seed)
    with torch.no_grad():
        network.feature_std.fill_(0.5)
        network.delta_std.fill_(0.1)
    return network, spec.model_copy(update={"delta_scale": tuple([0.1] * len(contract.task.state))})


def value_for(contract: RobotContract, folder: Path, members: int = 2) -> ModelFile:
    spec = HeadSpec.of(
        "value", contract.task, contract.file.robot, contract.action, (1, 3), (8,), members=members, discount=0.9
    )
    network = ValueNetwork(spec, seed=1)
    network.fit_targets(np.array([-3.0, 5.0]))
    return export_head(network, folder / "value.onnx")


def start_of(contract: RobotContract, seed: int = 0) -> np.ndarray:
    state = np.random.default_rng(seed).normal(0, 0.1, len(contract.task.state))
    for first in contract.task.state.orientations:
        state[first : first + 6] = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0
    return state


def objective_for(contract: RobotContract, model: Any, **more: Any) -> RolloutObjective:
    goal = contract.task.sample_goal(np.random.default_rng(0)).at(0.1 * np.arange(1, H + 4))
    given = {"risk": Risk(), "drop_cost": contract.task.drop_cost, "state": start_of(contract), "goal": goal[:H]}
    return RolloutObjective(model, contract.task, contract.action, **{**given, **more})


@pytest.fixture(scope="module")
def valve() -> RobotContract:
    return load_contract(Path(share_dir()) / "config" / "claw_valve.yaml")


@pytest.fixture(scope="module")
def served(valve: RobotContract, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A version's file and value, with its gradients."""
    folder = tmp_path_factory.mktemp("served")
    network, spec = network_for(valve)
    export_onnx(network, spec, folder / "model.onnx")
    ensemble = load_ensemble(folder / "model.onnx")
    heads = Heads(None, OnnxValue.load(value_for(valve, folder)))
    source = ModelFile.read(folder / "model.onnx")
    return LoadedModel(ensemble, heads=heads, gradients=load_gradients(source, ensemble.spec, heads))


@pytest.mark.parametrize("file", CONTRACTS)
@pytest.mark.parametrize("risk", ["mean", "mean_std", "worst"])
def test_the_gradient_is_the_slope_of_the_return(file: str, risk: str) -> None:
    contract = load_contract(Path(share_dir()) / "config" / file)
    network, _ = network_for(contract)
    model = TorchGradients(network.double().requires_grad_(False), None)
    objective = objective_for(contract, LoadedModelOf(model), risk=Risk(kind=risk))
    rng = np.random.default_rng(3)
    candidates = rng.uniform(-0.9, 0.9, (N, H, len(contract.action)))
    along = rng.normal(size=candidates.shape)
    _, gradients = objective.gradient(candidates)
    found = (gradients * along).sum((1, 2))

    def slope(step: float) -> np.ndarray:
        ahead, behind = (objective.gradient(candidates + sign * step * along)[0] for sign in (1, -1))
        return (ahead - behind) / (2 * step)

    near, nearer = slope(1e-6), slope(2e-7)
    smooth = np.abs(near - nearer) < 1e-3 * (1e-3 + np.abs(near))  # no kink or bonus in between
    assert smooth.sum() >= N // 2
    np.testing.assert_allclose(found[smooth], near[smooth], rtol=2e-3, atol=1e-6)
    assert np.abs(found).max() > 1e-4


class LoadedModelOf:
    """A model that is only differentiated."""

    def __init__(self, gradients: TorchGradients) -> None:
        self.gradients = gradients


@pytest.mark.parametrize("terminal", [False, True])
def test_returns_are_those_of_the_served_file(valve: RobotContract, served: LoadedModel, terminal: bool) -> None:
    goals = np.full((5, 1), 0.7)
    value = PessimisticValue(served.value, goals, 1.0) if terminal else None
    objective = objective_for(valve, served, terminal=value, drop_cost=5.0)
    candidates = np.random.default_rng(0).uniform(-1, 1, (N, H, len(valve.action))).astype(np.float32)
    returns, gradients = gradients_of(objective, candidates)
    np.testing.assert_allclose(returns, objective(candidates), rtol=1e-4, atol=1e-3)
    assert np.abs(gradients).max() > 0
    last = np.abs(gradients[:, -1]).max()
    without = np.abs(gradients_of(replace(objective, terminal=None), candidates)[1][:, -1]).max()
    assert (last != without) == terminal  # a value lets the last action count beyond its own step


@pytest.mark.parametrize("members", [1, 3])
def test_a_value_comes_back_from_its_file(valve: RobotContract, tmp_path: Path, members: int) -> None:
    file = value_for(valve, tmp_path, members)
    rng = np.random.default_rng(0)
    states, goals = rng.normal(size=(9, len(valve.task.state))), rng.normal(size=(4, 1))
    states[3, 2] = np.nan
    network = TorchGradients(network_for(valve)[0], value_of(file)).value
    assert network is not None
    found = network.values(torch.tensor(states, dtype=torch.float32), goals).detach().numpy()
    np.testing.assert_allclose(found, OnnxValue.load(file).values(states, goals), rtol=1e-5, atol=1e-5)
    assert np.isnan(found[:, 3]).all()


def test_another_file_is_no_value(valve: RobotContract, tmp_path: Path) -> None:
    network, spec = network_for(valve)
    export_onnx(network, spec, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        value_of(ModelFile.read(tmp_path / "model.onnx"))


def test_rounded_weights_have_no_gradient(valve: RobotContract, served: LoadedModel) -> None:
    file = ModelFile.read(served.ensemble.path)
    rounded = served.ensemble.spec.model_copy(update={"precision": "int8"})
    with pytest.raises(ModelError, match="rounded to int8, which has no gradient: serve the version's fp32 file"):
        load_gradients(file, rounded, Heads())


def test_work_is_counted_there_and_back(valve: RobotContract, served: LoadedModel) -> None:
    count = NetworkCount()
    value = PessimisticValue(served.value, np.zeros((3, 1)), 1.0)
    objective = objective_for(valve, CountedModel(served, count), terminal=value)
    objective.gradient(np.zeros((N, H, len(valve.action)), np.float32))
    # Three members, each step of each candidate; the value's two members on each member's last states.
    assert count.evaluations == 2 * (3 * N * H + 2 * 3 * N)


def test_what_cannot_be_differentiated_is_said_before_the_first_plan(
    valve: RobotContract, served: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = make_planner("gradient", len(valve.action))
    check_gradients(served, planner, valve.task, valve.action)
    check_gradients(object(), make_planner("pddm", len(valve.action)), valve.task, valve.action)
    with pytest.raises(ModelError, match="planner gradient: oracle has no gradients: it plans through a learned model"):
        check_gradients(Oracle(), planner, valve.task, valve.action)
    monkeypatch.setattr(valve.task, "reward", lambda state, action, goal: np.abs(state[..., 0]), raising=False)
    with pytest.raises(ModelError, match=r"planner gradient: task valve: its reward cannot be differentiated.*arrays"):
        check_gradients(served, planner, valve.task, valve.action)


class Oracle:
    version = "oracle"


def test_a_reward_that_no_action_changes_has_no_slope(valve: RobotContract, served: LoadedModel) -> None:
    returns, gradients = served.gradients.differentiate(lambda x: x.detach().sum((1, 2)), np.ones((2, H, 3)))
    assert returns.tolist() == [3.0 * H] * 2
    assert not gradients.any()
