# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Models of windows: what each kind learns of a toy whose answers are known, and that its file says the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from mbrl_controller.base.errors import DatasetError, ModelError
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.density_network import DensityNetwork
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.head_trainer import FittedHead, train_head
from mbrl_controller.dynamics.window_data import WindowData
from mbrl_controller.dynamics.window_network import WindowNetwork
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.onnx_density import OnnxDensity
from mbrl_controller.models.onnx_window import OnnxWindow
from mbrl_controller.models.window_kinds import KINDS, WINDOW_NAMES, WindowName

QUICK = HeadTrainConfig(max_epochs=15, patience=4, batch=64, learning_rate=5e-3)


def make_spec(kind: WindowName, steps: int | None = None, **more) -> HeadSpec:
    """A joint that follows its command half way in each step, and a dial (periodic) that the joint turns."""
    content = {
        "kind": kind,
        "task": "toy",
        "robot": "r",
        "state_names": ("A.position", "dial.position"),
        "state_units": ("rad",) * 2,
        "periodic": (1,),
        "action_names": ("A",),
        "action_units": ("rad",),
        "action_lower": (-1.0,),
        "action_upper": (1.0,),
        "action_max_rate": (3.0,),
        "action_neutral": (0.0,),
        "action_stroke": 0.9,
        "control_period_s": 0.1,
        "goal_names": ("dial.target",),
        "goal_units": ("rad",),
        "goal_periodic": (0,),
        "goal_steps": (),
        "horizon": KINDS[kind].steps if steps is None else steps,
        "hidden": () if KINDS[kind].is_density else (24, 24),
    }
    return HeadSpec(**content | more)


def log(episodes: int = 40, length: int = 20, seed: int = 0) -> TransitionSet:
    """Random commands; the dial turns by .3 of the joint's square in each step, and its angle is within half a turn."""
    rng = np.random.default_rng(seed)
    states, actions, nexts = [], [], []
    for _ in range(episodes):
        joint, dial = rng.uniform(-0.8, 0.8), rng.uniform(-np.pi, np.pi)
        for command in rng.uniform(-0.8, 0.8, length):
            after = joint + 0.5 * (command - joint)
            turned = (dial + 0.3 * after**2 + np.pi) % (2 * np.pi) - np.pi
            states.append((joint, dial))
            actions.append((command,))
            nexts.append((after, turned))
            joint, dial = after, turned
    of = np.repeat(np.arange(episodes), length)
    step = np.tile(np.arange(length), episodes)
    return TransitionSet(
        np.array(states), np.array(actions), np.array(nexts), of, step, tuple(map(str, range(episodes)))
    )


def trained(kind: WindowName, steps: int | None = None, **more) -> tuple[FittedHead, WindowData]:
    spec = make_spec(kind, steps, **more)
    data = WindowData.of(log(), kind, spec.horizon)
    return train_head(data, spec, QUICK), data


def test_an_inverse_finds_the_command(tmp_path: Path) -> None:
    fitted, data = trained("inverse", components=3)
    assert fitted.metrics["rmse"] < 0.2 * fitted.metrics["std"]
    export_head(fitted.network, tmp_path / "inverse.onnx")
    answer = OnnxWindow.load(tmp_path / "inverse.onnx").answer(data.first, data.last)
    assert answer.mean.shape == (len(data), 3, 1, 1)
    np.testing.assert_allclose(answer.weight.sum(1), 1.0)
    error = answer.expected - data.actions
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert answer.likeliest(2).shape == (len(data), 2, 1, 1)


def test_where_two_answers_are_right_the_components_have_both(tmp_path: Path) -> None:
    """Which joint's position made the dial turn, the dial does not say: left or right are alike."""
    rng = np.random.default_rng(0)
    action = rng.choice([-0.5, 0.5], (800, 1)) + rng.normal(0, 0.02, (800, 1))
    first = np.stack([np.zeros(800), rng.uniform(-1, 1, 800)], -1)
    last = first + np.stack([np.zeros(800), action[:, 0] ** 2], -1)
    data = WindowData(np.stack([first, last], 1), action[:, None], np.arange(800) // 20, "inverse")
    fitted = train_head(data, make_spec("inverse", components=3), QUICK)
    export_head(fitted.network, tmp_path / "inverse.onnx")
    answer = OnnxWindow.load(tmp_path / "inverse.onnx").answer(first[:50], last[:50])
    assert np.abs(answer.expected).mean() < 0.15  # the mean is neither
    best = np.abs(answer.mean[..., 0, 0] - np.array([[[-0.5]], [[0.5]]])).min(-1)  # of the components, to each
    assert best.max() < 0.15
    assert fitted.metrics["nearest_rmse"] < 0.3 * fitted.metrics["rmse"]


def test_between_knows_the_way_better_than_a_straight_line(tmp_path: Path) -> None:
    fitted, data = trained("between", 4)
    assert fitted.metrics["rmse"] < 0.35 * fitted.metrics["std"]
    export_head(fitted.network, tmp_path / "between.onnx")
    model = OnnxWindow.load(tmp_path / "between.onnx")
    answer = model.answer(data.first, data.last, data.actions)
    assert answer.mean.shape == (len(data), 1, 3, 2)
    layout = model.spec.state
    straight = KINDS["between"].reference(layout, data.first, data.last, 4)
    error, of_line = (layout.difference(data.states[:, 1:4], found) for found in (answer.expected, straight))
    assert np.sqrt(np.mean(error**2)) < 0.3 * np.sqrt(np.mean(of_line**2))
    z = error / answer.spread
    assert 0.5 < np.sqrt(np.mean(z**2)) < 2  # its deviations are those of its errors


def test_action_free_says_what_is_sure_and_what_is_not() -> None:
    fitted, data = trained("action_free", 3)
    found = fitted.network.answers(*data.given)
    D = fitted.network.asked
    deviation = np.exp(found[:, 0, 1 + D :]).reshape(len(data), 3, 2)
    assert deviation[:, 0, 0].mean() > 3 * deviation[:, 0, 1].mean()  # the joint follows the command, the dial hardly
    assert fitted.metrics["rmse"] < fitted.metrics["std"]


def test_the_joint_density_tells_what_never_happens(tmp_path: Path) -> None:
    fitted, data = trained("joint", components=6)
    export_head(fitted.network, tmp_path / "joint.onnx")
    density = OnnxDensity.load(tmp_path / "joint.onnx")
    usual = density.log_density(data.first, data.last, data.actions)
    broken = data.last + np.array([0.15, 0.0])  # each number is usual; not all of them together
    assert np.mean(density.log_density(data.first, broken, data.actions)) < usual.mean() - 3
    one = train_head(data, make_spec("joint", components=1), QUICK)
    assert fitted.metrics["log_density"] > one.metrics["log_density"]


@pytest.mark.parametrize("kind", WINDOW_NAMES)
@pytest.mark.parametrize("layout", [{}, {"periodic": ()}, {"members": 2, "components": 3}], ids=str)
def test_any_kind_and_layout_is_exported_right(tmp_path: Path, kind: WindowName, layout: dict) -> None:
    spec = make_spec(kind, **layout)
    data = WindowData.of(log(8), kind, spec.horizon)
    fitted = train_head(data, spec, HeadTrainConfig(max_epochs=2, batch=32))
    first = export_head(fitted.network, tmp_path / "a.onnx").content  # compares
    again = train_head(data, spec, HeadTrainConfig(max_epochs=2, batch=32))
    assert export_head(again.network, tmp_path / "b.onnx").content == first


def test_an_angle_that_jumps_by_a_turn_changes_nothing() -> None:
    spec = make_spec("between", 3)
    data = WindowData.of(log(8), "between", 3)
    turned = dataclasses.replace(data, states=data.states + np.array([0, 2 * np.pi]))
    jumped = data.states.copy()
    jumped[:, 2:, 1] -= 2 * np.pi
    for other in (turned, dataclasses.replace(data, states=jumped)):
        np.testing.assert_allclose(other.targets(spec), data.targets(spec), atol=1e-9)
        network = WindowNetwork(spec)
        np.testing.assert_allclose(network.answers(*other.given), network.answers(*data.given), atol=1e-4)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no 30 transitions in a row"):
        WindowData.of(log(2), "between", 30)
    data = WindowData.of(log(4), "inverse", 1)
    with pytest.raises(DatasetError, match="a between cannot be trained on data for a inverse"):
        train_head(data, make_spec("between"), QUICK)
    with pytest.raises(DatasetError, match="states has shape"):
        train_head(data, make_spec("inverse", 2), QUICK)
    with pytest.raises(ValueError, match="there is no state"):
        make_spec("between", 1)
    with pytest.raises(ValueError, match="models of windows see none"):
        make_spec("inverse", goal_steps=(1,))
    with pytest.raises(ModelError, match="cannot be a joint"):
        WindowNetwork(make_spec("joint"))
    with pytest.raises(ModelError, match="no hidden layers"):
        DensityNetwork(make_spec("joint", hidden=(4,)))
    export_head(WindowNetwork(make_spec("inverse")), tmp_path / "inverse.onnx")
    model = OnnxWindow.load(tmp_path / "inverse.onnx")
    with pytest.raises(ModelError, match="is given first, last, not first, last, actions"):
        model.answer(data.first, data.last, data.actions)
    with pytest.raises(ModelError, match="do not fit its description"):
        model.answer(data.first, data.last[:3])
    first = data.first.copy()
    first[0, 0] = np.nan
    assert np.isnan(model.answer(first, data.last).expected)[:, 0, 0].tolist()[:2] == [True, False]
    with pytest.raises(ModelError, match="it is a inverse, where a joint is needed"):
        OnnxDensity.load(tmp_path / "inverse.onnx")
