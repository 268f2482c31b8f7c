# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""When a set of states is complete, where trackers send several measurements in a period; arrays and static frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from mbrl_controller.base.errors import MessageError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.source_messages import source_message


def baoding(**changes: Any) -> RobotContract:
    """The shipped contract, its balls told of by poses."""
    document = yaml.safe_load((share_dir() / "config" / "adroit_baoding.yaml").read_text())
    document["format_version"] = 2
    for source in document["state"][1:]:
        source.update(type="geometry_msgs/msg/PoseStamped", **changes)
    return parse_contract(yaml.safe_dump(document))


class Inputs:
    """State input in lockstep, and how often a set was complete."""

    def __init__(self, contract: RobotContract) -> None:
        self.inputs, self.sets = StateInput(contract, self._complete), 0
        self.hand, self.a, self.b = (source.key for source in contract.sources)

    def _complete(self) -> None:
        self.sets += 1

    def send(self, key: str, *stamps: float) -> int:
        """Send measurements of these stamps (s); returns the sets so far."""
        source = next(source for source in self.inputs.contract.sources if source.key == key)
        for stamp in stamps:
            message = source_message(source, np.zeros(len(source.entries())), round(1e9 * stamp))
            self.inputs.receive(key, message, 0.0)
        return self.sets


@pytest.mark.parametrize("hand_first", [True, False])
def test_a_set_is_complete_when_the_trackers_have_come_to_the_end_of_the_period(hand_first: bool) -> None:
    inputs = Inputs(baoding())
    for period in (1.1, 1.2, 1.3):
        sets = inputs.sets
        if hand_first:
            assert inputs.send(inputs.hand, period) == sets
        burst = [period - 0.1 + 0.01 * k for k in range(1, 10)]
        assert inputs.send(inputs.a, *burst, period) == sets
        if not hand_first:
            assert inputs.send(inputs.b, *burst, period) == sets
            assert inputs.send(inputs.hand, period) == sets + 1
        else:
            assert inputs.send(inputs.b, *burst) == sets
            assert inputs.send(inputs.b, period) == sets + 1


def test_one_pose_a_period_is_enough_where_nothing_newer_is_known() -> None:
    """As a simulator sends them that has no faster tracker."""
    inputs = Inputs(baoding())
    for k in range(1, 4):
        for key in (inputs.hand, inputs.a):
            inputs.send(key, 0.1 * k)
        assert inputs.send(inputs.b, 0.1 * k) == k


def test_a_tracker_that_is_late_or_lost_ends_its_period_by_a_repeat() -> None:
    inputs = Inputs(baoding())
    inputs.send(inputs.hand, 1.1)
    inputs.send(inputs.a, 1.1)
    assert inputs.send(inputs.b, 1.06, 1.07, 1.08) == 0
    assert inputs.send(inputs.b, 1.08) == 1
    # in the next period all of its measurements are lost
    inputs.send(inputs.hand, 1.2)
    inputs.send(inputs.a, 1.15, 1.2)
    assert inputs.send(inputs.b, 1.08) == 2
    # a repeat does not count once a newer one has come
    inputs.send(inputs.b, 1.08, 1.25)
    inputs.send(inputs.hand, 1.3)
    assert inputs.send(inputs.a, 1.3) == 2
    assert inputs.send(inputs.b, 1.3) == 3


def test_a_state_sent_again_is_complete_again() -> None:
    inputs = Inputs(baoding())
    for key in (inputs.hand, inputs.a, inputs.b):
        inputs.send(key, 1.0, 1.1)
    sets = inputs.sets
    for key in (inputs.hand, inputs.a, inputs.b):
        inputs.send(key, 1.1)
    assert inputs.sets == sets + 1


def test_who_comes_in_the_middle_of_a_period_gets_the_next_set_whole() -> None:
    inputs = Inputs(baoding())
    inputs.send(inputs.b, 1.08)  # the repeat that ended what came before: a first message to who comes late
    inputs.send(inputs.a, 1.1)
    assert inputs.send(inputs.hand, 1.1) == 0
    inputs.send(inputs.hand, 1.1)  # sent again
    inputs.send(inputs.a, 1.1)
    assert inputs.send(inputs.b, 1.08) == 1


def test_a_refused_pose_does_not_hold_up_the_set() -> None:
    inputs = Inputs(baoding(valid={"position": {"lower": 1.0, "upper": 2.0}}))
    inputs.send(inputs.hand, 1.1)
    inputs.send(inputs.a, 1.1)
    assert inputs.send(inputs.b, 1.1) == 1
    with pytest.raises(MessageError, match="outside"):
        inputs.inputs.observation(None, None)


def test_a_pose_from_the_future_is_forgotten_and_later_ones_are_taken() -> None:
    inputs = Inputs(baoding())
    for key in (inputs.hand, inputs.a, inputs.b):
        inputs.send(key, 1.1)
    inputs.send(inputs.a, 50.0)
    with pytest.raises(MessageError, match="in the future"):
        inputs.inputs.observation(None, 1.1)
    sets = inputs.sets
    assert inputs.send(inputs.hand, 1.2) == sets
    assert inputs.send(inputs.b, 1.2) == sets
    assert inputs.send(inputs.a, 1.2) == sets + 1
    assert inputs.inputs.observation(None, 1.2).stamp == 1.2


def test_static_frames_are_heard_and_what_is_wrong_with_them_is_counted() -> None:
    contract = baoding(transform="tf")
    inputs, source = StateInput(contract), contract.sources[1]
    seen = ros_messages.pose(1_000_000_000, "camera", np.zeros(3))
    assert contract.looks_up_frames
    inputs.receive(source.key, seen, 0.0)
    assert "no transform from frame 'camera' to 'world' on /tf_static yet" in inputs.last_rejection
    inputs.receive_frames(ros_messages.transforms(0, "world", "camera", np.zeros(3), (0.0, 0.0, 0.0, 0.0)))
    assert "/tf_static: not a static transform: 'camera' in 'world'" in inputs.last_rejection
    assert inputs.rejected_total == 2
    inputs.receive_frames(ros_messages.transforms(0, "world", "camera", np.ones(3)))
    inputs.reset()  # frames last
    inputs.receive(source.key, seen, 0.0)
    assert inputs.rejected_total == 2


def test_an_array_is_as_old_as_its_receipt() -> None:
    document = yaml.safe_load((share_dir() / "config" / "claw_valve.yaml").read_text())
    document["format_version"] = 2
    valve = document["state"][1]
    document["state"][1] = {
        "topic": valve["topic"],
        "type": "std_msgs/msg/Float64MultiArray",
        "entries": {"valve.position": 2, "valve.velocity": 0},
        "max_age_s": 0.2,
    }
    contract = parse_contract(yaml.safe_dump(document))
    inputs, (hand, array) = StateInput(contract), contract.sources
    now = 1000.0
    joints = source_message(hand, np.zeros(len(hand.entries())), round(1e9 * now))
    inputs.receive(hand.key, joints, 5.0, now)
    inputs.receive(array.key, ros_messages.multi_array([1.0, 0.0, 3.0]), 5.0, now - 0.1)
    observation = inputs.observation(5.0, now)
    at = contract.task.state.indices(["valve.position", "valve.velocity"])
    assert observation.state[at].tolist() == [3, 1]
    assert observation.stamp == now - 0.1
    with pytest.raises(MessageError, match=f"{array.topic}: measured 0.25 s ago"):
        inputs.observation(5.0, now + 0.15)
