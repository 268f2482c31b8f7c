# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is sent keeps the limits in the driver's units, and is read back as what was meant."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.command_messages import CommandMessage, encode_command, read_command, read_plan
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.episodes import ros_messages

PERIOD = 0.05


def contract_of(command: dict[str, Any], version: int = 2) -> RobotContract:
    """A hand alone with this command."""
    names = [joint["name"] for joint in command["joints"]]
    source = {"topic": "joint_states", "type": ros_types.JOINT_STATE, "joints": names}
    file = {"format_version": version, "robot": "made_up", "task": "reach", "control_period_s": PERIOD}
    return parse_contract(json.dumps(file | {"state": [source], "command": command}))


def joint(name: str, lower: float = -1.0, upper: float = 1.0, /, **mapping: Any) -> dict[str, Any]:
    limits = {"name": name, "lower": lower, "upper": upper, "neutral": (lower + upper) / 2, "max_rate": 2.0}
    return limits | ({"as": mapping} if mapping else {})


def as_sent(message: CommandMessage, order: list[int] | None = None) -> Any:
    """Through CDR; `order`: of the joints that have names."""
    at = order or list(range(message.values.shape[1]))
    names, values = [message.names[i] for i in at] if message.names else [], message.values[:, at]
    if message.type == ros_types.MULTI_ARRAY:
        sent = ros_messages.multi_array(values[0])
    elif message.type == ros_types.JOINT_STATE:
        sent = ros_messages.joint_state(names, values[0], 0)
    else:
        sent = ros_messages.trajectory(names, values, message.times, 0)
    return ros_messages.decode(ros_messages.encode(sent), message.type)


mapping = st.fixed_dictionaries(
    {},
    optional={
        "sign": st.sampled_from([-1, 1]),
        "scale": st.floats(0.01, 300.0),
        "offset": st.floats(-300.0, 300.0),
        "prefix": st.sampled_from(["left_", ""]),
    },
)
kind = st.sampled_from(
    [
        {"type": ros_types.MULTI_ARRAY},
        {"type": ros_types.JOINT_STATE},
        {"type": ros_types.JOINT_STATE, "by": "index"},
        {"type": ros_types.TRAJECTORY},
        {"type": ros_types.TRAJECTORY, "send": {"plan": 3}},
    ]
)


@st.composite
def commands(draw: st.DrawFn) -> dict[str, Any]:
    """Joints on up to three topics, each with its own type, names and units."""
    joints = []
    for i in range(draw(st.integers(1, 6))):
        lower = draw(st.floats(-3.0, 3.0))
        own = draw(mapping) | draw(st.sampled_from([{}, {"name": f"motor {i}"}]))
        joints.append(joint(f"J{i}", lower, lower + draw(st.floats(0.05, 3.0)), **own))
    home = draw(st.lists(st.integers(0, 2), min_size=len(joints), max_size=len(joints)))
    topics = []
    for number in sorted(set(home)):
        names = [one["name"] for one, at in zip(joints, home, strict=True) if at == number]
        topics.append({"topic": f"hand_{number}", "joints": draw(st.permutations(names))} | draw(kind))
    return {"topics": topics, "joints": joints, "as": draw(mapping)}


@given(commands(), st.data())
def test_what_is_sent_keeps_the_limits_and_is_read_back_as_it_was_meant(command, data) -> None:
    contract = contract_of(command)
    action = contract.action
    share = data.draw(st.lists(st.lists(st.floats(0, 1), min_size=len(action), max_size=len(action)), min_size=1))
    targets = action.lower + np.array(share) * (action.upper - action.lower)
    read = np.full(len(action), np.nan)
    for to in contract.destinations:
        message = encode_command(to, targets, PERIOD)
        points = len(message.values)
        assert points == min(len(targets), to.points)
        np.testing.assert_allclose(message.times, PERIOD * np.arange(1, points + 1))
        assert (to.lower <= message.values).all()
        assert (message.values <= to.upper).all()
        order = data.draw(st.permutations(range(len(to.at)))) if message.names else None
        times, back = read_plan(contract, to.topic, as_sent(message, order))
        assert len(times) == points
        elsewhere = np.setdiff1d(np.arange(len(action)), to.at)
        assert np.isnan(back[:, elsewhere]).all()
        exact = 1e-12 * (1 + np.abs(to.map.offset) / to.map.scale)
        assert (np.abs(back[:, to.at] - targets[:points, to.at]) <= exact).all()
        assert np.isnan(read[to.at]).all(), "a joint goes to one topic"
        read[to.at] = read_command(contract, to.topic, as_sent(message, order))[to.at]
    np.testing.assert_allclose(read, targets[0], atol=1e-7)


@pytest.mark.parametrize("type_name", [ros_types.MULTI_ARRAY, ros_types.TRAJECTORY])
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_without_a_mapping_every_bit_is_sent(type_name, target) -> None:
    command = {"topic": "hand", "type": type_name, "joints": [joint(name) for name in "ABC"]}
    for version in (1, 2):
        contract = contract_of(command, version)
        message = encode_command(contract.destinations[0], np.array([target, [0.0] * 3]), PERIOD)
        assert message.values.tobytes() == np.array([target]).tobytes()
        assert message.names == (() if type_name == ros_types.MULTI_ARRAY else ("A", "B", "C"))
        assert read_command(contract, "hand", as_sent(message)).tobytes() == np.array(target).tobytes()


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_whole_numbers_stay_within_the_limits(a, b) -> None:
    """As LinkerHand takes them: 0 to 255, the rest cut off; each joint opens another way."""
    joints = [joint("A", sign=-1, scale=127.2, offset=127.6), joint("B", scale=100.0, offset=110.3, round=False)]
    command = {"topic": "cb_left_hand_control_cmd", "type": ros_types.JOINT_STATE, "by": "index", "joints": joints}
    contract = contract_of(command | {"as": {"round": True}, "raw": {"lower": 0, "upper": 255}})
    (to,) = contract.destinations
    ((sent, other),) = encode_command(to, np.array([[a, b]]), PERIOD).values
    assert sent == round(sent)
    assert 1 <= sent <= 254, "0.4 and 254.8 are the limits; 0 and 255 would be outside"
    assert abs(sent - np.clip(127.6 - 127.2 * a, 1, 254)) <= 0.5
    assert other == 100.0 * b + 110.3


def test_a_shadow_hands_coupled_joint_goes_by_the_drivers_own_name() -> None:
    """FFJ0 moves FFJ1 and FFJ2: measured as their sum, commanded as one; the wrist has a controller of its own."""
    names = ["FFJ0", "FFJ3", "WRJ1"]
    coupled = {"name": "FFJ0", "as": {"sum": ["FFJ1", "FFJ2"]}}
    file = {
        "format_version": 2, "robot": "shadow", "task": "reach", "control_period_s": PERIOD,
        "state": [
            {"topic": "joint_states", "type": ros_types.JOINT_STATE, "as": {"prefix": "rh_"},
             "joints": [coupled, *names[1:]]},
        ],
        "command": {
            "joints": [joint("FFJ0", 0.0, 3.1), joint("FFJ3"), joint("WRJ1", -0.5, 0.5)],
            "as": {"prefix": "rh_"},
            "topics": [
                {"topic": "rh_trajectory_controller/command", "type": ros_types.TRAJECTORY, "joints": names[:2]},
                {"topic": "rh_wr_trajectory_controller/command", "type": ros_types.TRAJECTORY, "joints": names[2:]},
            ],
        },
    }  # fmt: skip
    contract = parse_contract(json.dumps(file))
    hand, wrist = (encode_command(to, np.array([[3.0, 0.25, 0.125]]), PERIOD) for to in contract.destinations)
    assert (hand.names, hand.values.tolist()) == (("rh_FFJ0", "rh_FFJ3"), [[3.0, 0.25]])
    assert (wrist.names, wrist.values.tolist()) == (("rh_WRJ1",), [[0.125]])
    (source,) = contract.sources
    assert source.joint_map.drivers[0] == ("rh_FFJ1", "rh_FFJ2")


HAND = {
    "joints": [joint("A"), joint("B", scale=10.0), joint("C"), joint("D")],
    "raw": {"lower": -10.0, "upper": 10.0},
    "topics": [
        {"topic": "by_name", "type": ros_types.JOINT_STATE, "joints": ["A", "B"]},
        {"topic": "by_index", "type": ros_types.JOINT_STATE, "by": "index", "joints": ["C"]},
        {"topic": "arm/points", "type": ros_types.TRAJECTORY, "joints": ["D"]},
    ],
}


def test_a_joint_state_may_name_some_of_the_joints() -> None:
    contract = contract_of(HAND)
    target = read_command(contract, "by_name", ros_messages.joint_state(["B"], [5.0], 0))
    np.testing.assert_array_equal(target, [np.nan, 0.5, np.nan, np.nan])
    named = ros_messages.joint_state(["whatever"], [0.25], 0)
    np.testing.assert_array_equal(read_command(contract, "by_index", named), [np.nan, np.nan, 0.25, np.nan])


@pytest.mark.parametrize(
    ("topic", "message", "complaint"),
    [
        ("by_name", ros_messages.joint_state(["B", "X"], [0.0, 0.0], 0), "unknown joint X"),
        ("by_name", ros_messages.joint_state(["B", "B"], [0.0, 0.0], 0), "named twice"),
        ("by_name", ros_messages.joint_state(["B"], [0.0, 0.0], 0), "2 positions for 1 names"),
        ("by_name", ros_messages.joint_state([], [], 0), "0 positions for 0 names"),
        ("by_name", ros_messages.joint_state(["B"], [np.nan], 0), "non-finite"),
        ("by_name", ros_messages.joint_state(["B"], [10.5], 0), r"B = 10\.5 is outside .*\[-10, 10\]"),
        ("by_index", ros_messages.joint_state([], [0.0, 0.0], 0), "2 values for 1 joints"),
        ("by_index", ros_messages.joint_state([], [np.inf], 0), "non-finite"),
        ("arm/points", ros_messages.trajectory(["D"], np.zeros((0, 1)), [], 0), "one point or more for joints D"),
        ("arm/points", ros_messages.trajectory(["A"], np.zeros((1, 1)), [0.1], 0), "got 1 for A"),
        ("arm/points", ros_messages.trajectory(["D"], np.zeros((1, 2)), [0.1], 0), "2 positions for 1 joints"),
        ("arm/points", ros_messages.trajectory(["D"], np.zeros((2, 1)), [0.1, 0.1], 0), "does not increase"),
    ],
)
def test_what_is_no_command_is_refused_naming_the_topic(topic, message, complaint) -> None:
    with pytest.raises(MessageError, match=rf"^command: .*{complaint}") as caught:
        read_command(contract_of(HAND), topic, message)
    assert topic in str(caught.value)
