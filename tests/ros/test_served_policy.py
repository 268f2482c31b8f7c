# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A version's policy in the node: for plans that are really late, and alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.nodes.controller_output import SOURCES, STATES, TICK_ROW

from ..versions import version_with_heads
from .conftest import SMALL_HAND
from .test_controller_node import MODULE, FakeHand, parameters, report

pytestmark = pytest.mark.ros

TARDY = """
import time
from mbrl_controller.planning.pddm import PddmPlanner


class Tardy(PddmPlanner):
    \"\"\"Plans well, and is always late: by a tenth of the period, and never much more.\"\"\"

    name = "tardy"

    def plan(self, objective, state, deadline=None):
        found = super().plan(objective, state, deadline)
        if deadline is not None:
            time.sleep(max(0.0, deadline + 0.0075 - time.monotonic()))
        return found
"""


@pytest.fixture
def contract(tmp_path: Path) -> RobotContract:
    (tmp_path / "contract.yaml").write_text(SMALL_HAND)
    return load_contract(tmp_path / "contract.yaml")


@pytest.fixture
def tardy(ros: Any, tmp_path: Path) -> Iterator[None]:
    """An installed package with a planner that is late at every tick."""
    site = tmp_path / "site"
    info = site / "tardy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tardy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mbrl_controller.planners]\ntardy = tardy_planner:Tardy\n")
    (site / "tardy_planner.py").write_text(TARDY)
    before = ros.env
    ros.env = {**before, "PYTHONPATH": os.pathsep.join(filter(None, [str(site), before.get("PYTHONPATH")]))}
    yield
    ros.env = before


@pytest.fixture
def ticks(ros: Any) -> list[Any]:
    ros.commands = ros.collect("hand/commands", Float64MultiArray)
    return ros.collect("controller/tick", Float64MultiArray)


def column(ticks: list[Any], name: str) -> list[float]:
    return [message.data[TICK_ROW.index(name)] for message in ticks]


def in_a_row(ticks: list[Any], source: str) -> int:
    """How many of the newest ticks have commands from `source`, while running."""
    count = 0
    for what, state in zip(reversed(column(ticks, "source")), reversed(column(ticks, "safety_state")), strict=True):
        if SOURCES[int(what)] != source or STATES[int(state)] != "running":
            break
        count += 1
    return count


def test_plans_that_are_late_at_every_tick_are_replaced_and_nothing_is_held(
    ros: Any, tmp_path: Path, contract: RobotContract, tardy: None, ticks: list[Any]
) -> None:
    version_with_heads(contract, tmp_path, policy=0.9)
    ros.reports = ros.diagnostics("controller: control")
    ros.start(MODULE, parameters(tmp_path, planner__name="tardy", ramp_s=0.0))
    hand = FakeHand(ros)
    try:
        # Far more than max_late_plans (3).
        ros.wait(lambda: in_a_row(ticks, "policy") >= 20, "20 commands of the policy in a row")
        said = report(ros, "policy", "command source")
        assert "the policy acts" in said["reason"]
        assert said["safety state"] == "running"
        assert int(said["late plans"]) >= 20
        # It asks for .9 of the range at once, and gets what max_rate allows from where the hand is.
        action = contract.action
        reach, position = action.max_rate * action.period, np.array(hand.position)
        sent = np.array([list(message.data) for message in ros.commands])
        assert (np.abs(sent - position) <= reach + 1e-9).all()
        np.testing.assert_allclose(sent[-1], position + reach)
        ros.call("controller/e_stop", Trigger)
        report(ros, "stopped", "safety state")
        ros.commands.clear()
        ticks.clear()
        ros.wait(lambda: len(ticks) >= 5, "ticks after the stop")
        assert {SOURCES[int(source)] for source in column(ticks, "source")} == {"none"}
        assert ros.commands == []
    finally:
        hand.close()


@pytest.mark.slow
def test_without_the_policy_the_same_plans_hold_the_hand(
    ros: Any, tmp_path: Path, contract: RobotContract, tardy: None, ticks: list[Any]
) -> None:
    version_with_heads(contract, tmp_path)
    ros.reports = ros.diagnostics("controller: control")
    ros.start(MODULE, parameters(tmp_path, planner__name="tardy", fallback="previous_plan"))
    hand = FakeHand(ros)
    try:
        assert "planner late" in report(ros, "planner late")["reason"]
        assert "policy" not in {SOURCES[int(source)] for source in column(ticks, "source")}
    finally:
        hand.close()


@pytest.mark.parametrize("model", [True, False])
def test_the_policy_alone_with_a_model_and_without(
    ros: Any, tmp_path: Path, contract: RobotContract, ticks: list[Any], model: bool
) -> None:
    version_with_heads(contract, tmp_path, model=model)
    ros.reports = ros.diagnostics("controller: control")
    process = ros.start(MODULE, parameters(tmp_path, policy="distilled"))
    hand = FakeHand(ros)
    try:
        ros.wait(lambda: in_a_row(ticks, "policy") >= 5, "commands of the policy")
        said = report(ros, "policy", "command source")
        assert (said["planner"], said["model version"]) == ("none: the policy acts", "v0001")
        assert len(said["policy digest"]) == 64
        changed = ros.set_parameters("controller", policy="controller")
        assert changed.successful is model
        if model:
            ros.wait(lambda: in_a_row(ticks, "plan") >= 3, "commands of the planner")
            assert ros.set_parameters("controller", policy="distilled").successful
        else:
            assert "no model to plan with" in changed.reason
        ticks.clear()
        ros.wait(lambda: in_a_row(ticks, "policy") >= 3, "commands of the policy again")
        assert ros.call("controller/load_model", Trigger).success, process.output
    finally:
        hand.close()


def test_a_policy_that_is_not_there_is_refused_at_configuration_and_while_running(
    ros: Any, tmp_path: Path, contract: RobotContract, ticks: list[Any]
) -> None:
    version_with_heads(contract, tmp_path, policy=None)
    process = ros.start(MODULE, parameters(tmp_path, autostart=False, policy="distilled"))
    assert ros.change("controller", "configure") is False
    assert "v0001 has no policy" in process.output
    assert ros.set_parameters("controller", policy="controller").successful
    assert ros.change("controller", "configure")
    for values, word in (({"policy": "distilled"}, "no policy"), ({"terminal": "value"}, "no value")):
        answer = ros.set_parameters("controller", **values)
        assert not answer.successful
        assert word in answer.reason
