# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Models of windows that watch: what they say is told, and a model without them says nothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.control.steps import Observation
from mbrl_controller.control.watching import novelty, watched
from mbrl_controller.dynamics.density_network import DensityNetwork
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.window_config import WindowFitConfig
from mbrl_controller.dynamics.window_network import WindowNetwork
from mbrl_controller.models.onnx_density import OnnxDensity
from mbrl_controller.models.onnx_window import OnnxWindow
from mbrl_controller.training.window_fit import window_spec

PLAIN = SimpleNamespace()


@pytest.fixture(scope="module")
def contract() -> RobotContract:
    return load_contract(share_dir() / "config" / "claw_valve.yaml")


@pytest.fixture(scope="module")
def model(contract: RobotContract, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder, config = tmp_path_factory.mktemp("watching"), WindowFitConfig(hidden=(8,))
    joint = DensityNetwork(window_spec("joint", contract, config).model_copy(update={"limit": -60.0}))
    free = WindowNetwork(window_spec("action_free", contract, config))
    export_head(joint, folder / "joint.onnx")
    export_head(free, folder / "action_free.onnx")
    return SimpleNamespace(
        joint=OnnxDensity.load(folder / "joint.onnx"), action_free=OnnxWindow.load(folder / "action_free.onnx")
    )


def test_a_step_far_from_all_data_is_newer(contract: RobotContract, model: SimpleNamespace) -> None:
    state, target = np.zeros(len(contract.task.state)), np.zeros(len(contract.action))
    usual = novelty(model, state, target, state)
    assert novelty(model, state + 3.0, target, state + 3.0) > usual + 10
    assert np.isnan(novelty(PLAIN, state, target, state))


def test_diagnostics_have_what_the_version_can_tell(contract: RobotContract, model: SimpleNamespace) -> None:
    task, period = contract.task, contract.action.period
    seen = Observation(np.zeros(len(task.state)), 0.0)
    values = watched(model, task, period, seen, SimpleNamespace(novelty=71.5))  # type: ignore[arg-type]
    assert values["novelty"] == 71.5
    assert values["novelty limit"] == 60.0
    expected = str(values["expected in 0.5 s"])
    assert expected.startswith("valve.position ")
    assert expected.endswith(" rad")
    assert "," not in expected  # the joints' are not among them
    assert watched(model, task, period, None, None)["expected in 0.5 s"] == "no state yet"
    assert watched(PLAIN, task, period, seen, None) == {}
