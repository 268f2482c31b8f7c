# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A contract's command topics: what fits together, and what is wrong with the rest."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract import ros_types

from .test_command_messages import HAND, contract_of, joint

ARRAY, STATE, TRAJECTORY = ros_types.MULTI_ARRAY, ros_types.JOINT_STATE, ros_types.TRAJECTORY
ONE = {"topic": "hand", "type": STATE, "joints": [joint("A"), joint("B")]}


def hand(**changes: Any) -> dict[str, Any]:
    """HAND with entries of its first topic replaced."""
    made = copy.deepcopy(HAND)
    made["topics"][0] |= changes
    return made


def test_topics_have_their_own_joints_types_drivers_and_points() -> None:
    made = hand(driver="finger_driver")
    made["topics"][2]["send"] = {"plan": 4}
    contract = contract_of(made)
    assert [to.topic for to in contract.destinations] == ["by_name", "by_index", "arm/points"]
    assert [to.driver for to in contract.destinations] == ["finger_driver", None, None]
    assert [to.at.tolist() for to in contract.destinations] == [[0, 1], [2], [3]]
    assert [to.points for to in contract.destinations] == [1, 1, 4]
    assert contract.plan_points == 4
    assert len({to.role for to in contract.destinations}) == 3
    assert contract.destination("by_index").map.joints == ("C",)


def test_one_topic_needs_no_list() -> None:
    (to,) = contract_of(ONE | {"driver": "d", "by": "index"}).destinations
    assert (to.topic, to.type, to.driver, to.file.by_name, to.role) == ("hand", STATE, "d", False, "hand command")


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (hand(joints=["A"]), "joint B is on no topic"),
        (hand(joints=["A", "B", "D"]), "joint D is on by_name and on arm/points"),
        (hand(joints=["A", "B", "X"]), "by_name: X: not one of command.joints"),
        (hand(joints=[]), "joints"),
        (hand(topic="by_index"), "by_index twice"),
        (hand(topic="joint_states"), "joint_states is a state's topic"),
        (hand(type=ARRAY, by="name"), "by_name: by: name, but"),
        (hand(type=TRAJECTORY, by="index"), "by_name: by: index, but"),
        (hand(send={"plan": 3}), "needs a trajectory_msgs/msg/JointTrajectory"),
        (hand(type=TRAJECTORY, send={"plan": 0}), "plan"),
        (HAND | {"topic": "other"}, "topic: belongs to each of `topics`"),
        (HAND | {"driver": "d", "by": "index"}, "driver, by: belongs to each"),
        ({"joints": ONE["joints"]}, "give topic and type"),
        ({"joints": ONE["joints"], "topic": "hand"}, "give topic and type"),
        (ONE | {"type": "std_msgs/msg/String"}, "type"),
        (ONE | {"raw": {"lower": -0.5, "upper": 2.0}}, "joint A: its limits are, for the driver, [-1, 1]"),
        (ONE | {"joints": [joint("A", sum=["B", "C"])]}, "hand: joint A: as: sum is for measurements"),
        (ONE | {"joints": [joint("A", name="B"), joint("B")]}, "hand: two joints are called B"),
        (ONE | {"joints": [joint("A", -0.4, 0.4, offset=0.5, round=True)]}, "joint A: no whole number"),
        (ONE | {"joints": [joint("A", scale=1.5, round=True)]}, "joint A: as: round: a whole number is 0.667 rad"),
    ],
)
def test_a_wrong_command_is_refused_naming_topic_and_joint(command, complaint) -> None:
    with pytest.raises(ContractError) as caught:
        contract_of(command)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (HAND, "command.raw, command.topics"),
        (ONE, f"command.type: {STATE}"),
        (ONE | {"type": TRAJECTORY, "send": {"plan": 3}}, "command.send"),
        (ONE | {"type": ARRAY, "as": {"sign": -1}}, "command.as"),
        (ONE | {"type": ARRAY, "joints": [joint("A", name="a")]}, "command.joints.0.as"),
    ],
)
def test_what_only_format_2_has_is_refused_in_format_1_and_named(command, named) -> None:
    contract_of(command, 2)
    with pytest.raises(ContractError) as caught:
        contract_of(command, 1)
    assert str(caught.value).endswith("needs format_version: 2")
    assert all(name in str(caught.value) for name in named.split(", "))


def test_the_documented_commands_are_contracts() -> None:
    text = (Path(__file__).parents[2] / "docs" / "own_task.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(command:.*?)```", text, re.DOTALL)]
    documented, several = (block["command"] for block in blocks)
    (to,) = contract_of(documented).destinations
    assert to.map.names == ("right_index_mcp", "right_th0")
    names = [name for topic in several["topics"] for name in topic["joints"]]
    assert contract_of(several | {"joints": [joint(name) for name in names]}).plan_points == 5
