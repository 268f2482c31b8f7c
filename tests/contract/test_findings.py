# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a contract that loads may still have wrong: in the file, and in what a hand sends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.shares import shared_files
from mbrl_controller.contract.contract import RobotContract, load_contract, parse_contract
from mbrl_controller.contract.findings import static_findings
from mbrl_controller.contract.observed import ObservedSource

HAND = """
format_version: 2
robot: small
task: reach
control_period_s: 0.1
state:
  - {topic: joint_states, type: sensor_msgs/msg/JointState, joints: [a, b], SOURCE}
command:
  topic: hand/commands
  type: std_msgs/msg/Float64MultiArray
  joints:
    - {name: a, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
    - {name: b, lower: 0.0, upper: 1.5, neutral: 0.0, max_rate: 3.0}
"""


def hand(source: str = "max_age_s: 0.25") -> RobotContract:
    return parse_contract(HAND.replace("SOURCE", source))


def message(positions: Any, stamp: float, names: Any = ("b", "a"), **fields: Any) -> Any:
    seconds = int(stamp)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=round((stamp - seconds) * 1e9)))
    return SimpleNamespace(header=header, name=list(names), position=list(positions), **fields)


def heard(contract: RobotContract, make: Callable[[float], Any], times: Any, clock: float = 1000.0) -> list[str]:
    """What is said of messages that `make` makes at `times` (s), as `problem -> change`."""
    observed = ObservedSource(contract, contract.sources[0])
    for time in times:
        observed.hear(make(time), time, clock + time)
    return [f"{finding.problem} -> {finding.change}" for finding in observed.findings()]


AT_100_HZ = np.arange(100) / 100


def good(time: float) -> Any:
    return message([0.5 + 0.1 * time, 0.0], 1000.0 + time)


def test_all_contracts_of_the_package_are_without_findings() -> None:
    found = {path.name: static_findings(load_contract(path)) for path in shared_files("config/**/*.yaml")
             if path.parent.name == "hands" or path.name in ("adroit_baoding.yaml", "claw_valve.yaml")}  # fmt: skip
    assert len(found) > 2
    assert not {name: findings for name, findings in found.items() if findings}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("valid: {position: {lower: -1.1, upper: 1.1}}", "valid.position"),
        ("as: {scale: 57.29578}, raw: {lower: -60.0, upper: 80.0}", "raw"),
        ("as: {sign: -1}, raw: {lower: -1.1, upper: 1.1}", "raw"),
    ],
)
def test_a_range_that_leaves_out_where_a_joint_may_be_sent_is_found(source: str, said: str) -> None:
    (finding,) = static_findings(hand(source))
    assert finding.problem.startswith(said)
    assert " b " in finding.problem


@given(st.integers(-1, 1).filter(bool), st.floats(0.1, 100), st.floats(-10, 10), st.floats(0.0, 1.0))
def test_a_raw_range_of_just_the_limits_is_wide_enough(sign: int, scale: float, offset: float, spare: float) -> None:
    ends = sign * scale * np.array([-1.0, 1.5]) + offset
    low, high = ends.min() - spare - 1e-6, ends.max() + spare + 1e-6
    contract = hand(f"as: {{sign: {sign}, scale: {scale}, offset: {offset}}}, raw: {{lower: {low}, upper: {high}}}")
    assert not static_findings(contract)


def test_a_hand_that_speaks_as_the_contract_says_gives_no_finding() -> None:
    assert not heard(hand(), good, AT_100_HZ)


@pytest.mark.parametrize(
    ("make", "said", "change"),
    [
        (lambda t: message([0.5, 0.0], 1000.0 + t, ()), "", "by: index, with its 2 joints"),
        (lambda t: message([0.5, 0.0], 1000.0 + t, ("right_b", "right_a")), "a, b missing", 'prefix: "right_"'),
        (lambda t: message([0.5, 0.0, 0.1], 1000.0 + t, ("b", "a", "wrist")), "wrist", "ignore_unknown: true"),
        (lambda t: message([0.5, 0.0], 1000.0 + t, ("x", "y")), "missing", "driver's names: x, y"),
        (lambda t: message([0.5, float("nan")], 1000.0 + t), "non-finite value for a.position", "check the driver"),
        (lambda t: message([0.5], 1000.0 + t), "1 values for 2", "check"),
    ],
)
def test_a_message_that_cannot_be_read_is_said_once_with_what_to_change(
    make: Callable[[float], Any], said: str, change: str
) -> None:
    (found,) = heard(hand(), make, AT_100_HZ)
    assert found.startswith("100 of 100 messages refused")
    problem, _, cure = found.partition(" -> ")
    assert said in problem
    assert change in cure


def test_degrees_are_recognised_where_a_range_refuses_them() -> None:
    source = "valid: {position: {lower: -2.0, upper: 2.0}}"
    (found,) = heard(hand(source), lambda t: message([40.0 + t, 1.0], 1000.0 + t), AT_100_HZ)
    assert "scale: 57.29578" in found


def test_joints_that_may_be_there_are_not_what_is_wrong() -> None:
    source = "ignore_unknown: true, valid: {position: {lower: -2.0, upper: 2.0}}"
    (found,) = heard(hand(source), lambda t: message([40.0, 1.0, 0.0], 1000.0 + t, ("b", "a", "wrist")), AT_100_HZ)
    assert "scale: 57.29578" in found


def test_a_velocity_that_the_driver_does_not_send_is_to_be_left_out() -> None:
    moving = HAND.replace("task: reach", "task: reach\ntask_options: {velocity: true}")
    contract = parse_contract(moving.replace("SOURCE", "fields: [position, velocity]"))
    (found,) = heard(contract, lambda t: message([0.5, 0.0], 1000.0 + t, velocity=[]), AT_100_HZ)
    assert "leave it out of fields" in found


@pytest.mark.parametrize(
    ("make", "said", "change"),
    [
        (lambda t: message([0.5, 0.0], 0.0), "100 of 100 stamps are 0", "time of measurement"),
        (
            lambda t: message([0.5, 0.0], 1000.0 + int(4 * t) / 4),
            "96 of 100 stamps are not newer",
            "its own measurement",
        ),
        (lambda t: message([0.5, 0.0], 999.5 + t), "0.5 s old", "max_age_s"),
        (lambda t: message([0.5, 0.0], 1001.0 + t), "1 s in the future", "clocks"),
        (lambda t: message([0.5, 0.0], 5.0 + t), "995 s old", "--sim-time"),
    ],
)
def test_stamps_that_are_no_times_of_measurement_are_found(
    make: Callable[[float], Any], said: str, change: str
) -> None:
    found = heard(hand("max_silence_s: 10.0"), make, AT_100_HZ)
    assert any(said in one and change in one for one in found), found


@given(offset=st.floats(-0.2, 0.2))
def test_an_age_within_the_limit_is_none(offset: float) -> None:
    assert not heard(hand(), lambda t: message([0.5, 0.0], 1000.0 + t + offset), AT_100_HZ[:20])


def test_a_source_slower_than_the_control_period_is_found_whatever_silence_is_allowed() -> None:
    (found,) = heard(hand("max_silence_s: 10.0, max_age_s: 10.0"), good, np.arange(10) / 5)
    assert "5 Hz is slower than the control period" in found
    assert "at least 0.22" in found


def test_gaps_longer_than_the_controller_bears_are_counted() -> None:
    times = np.concatenate([AT_100_HZ, AT_100_HZ + 1.4, AT_100_HZ + 2.6])
    (found,) = heard(hand(), good, times)
    assert found.startswith("2 gaps of up to 0.41 s; the controller holds after 0.12 s")


@pytest.mark.parametrize(("angle", "wrong"), [(1.6, False), (1.7, True), (-0.05, False), (-0.2, True)])
def test_a_joint_beyond_its_limits_is_found_once_it_is_more_than_play(angle: float, wrong: bool) -> None:
    found = heard(hand(), lambda t: message([angle, 0.0], 1000.0 + t), AT_100_HZ)
    assert [("outside its limits of 0 to 1.5 rad" in one and "b is at" in one) for one in found] == [True] * wrong


numbers = st.lists(st.floats(), max_size=3)
sent = st.tuples(
    st.lists(st.sampled_from(["a", "b", "right_a", "right_b", ""]), max_size=3), numbers, numbers,
    st.integers(0, 2**31 - 1), st.sampled_from([0, 1, 10**9 - 1]),
)  # fmt: skip


@given(
    st.lists(sent, max_size=6), st.sampled_from(["by: name", "by: index", "ignore_unknown: true", "publishers: parts"])
)
def test_whatever_a_driver_sends_is_read_or_said_to_be_wrong(messages: list[Any], source: str) -> None:
    contract = hand(source)
    observed = ObservedSource(contract, contract.sources[0])
    for i, (names, position, velocity, seconds, nanoseconds) in enumerate(messages):
        header = SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds))
        observed.hear(SimpleNamespace(header=header, name=names, position=position, velocity=velocity), i / 100, 1000.0)
    assert observed.summary()["messages"] == len(messages)
    assert all(finding.problem and finding.change for finding in observed.findings())


def test_the_summary_says_what_was_heard() -> None:
    observed = ObservedSource(hand(), hand().sources[0])
    assert observed.summary() == {"topic": "joint_states", "messages": 0, "rate (Hz)": None, "longest gap (s)": None,
                                  "age (s)": None, "refused": 0}  # fmt: skip
    for time in AT_100_HZ:
        observed.hear(good(time), time, 1000.02 + time)
    seen = observed.summary()
    assert (seen["messages"], seen["refused"]) == (100, 0)
    assert seen["rate (Hz)"] == pytest.approx(100)
    assert seen["age (s)"] == pytest.approx(0.02)
