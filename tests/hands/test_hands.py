# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The contracts of config/hands against doubles of the hands' drivers, over DDS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from mbrl_controller.base.errors import MessageError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.command_messages import encode_command
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.contract.state_assembly import StateAssembler
from mbrl_controller.nodes import messages, qos
from mbrl_controller.nodes.contract_check import LiveCheck
from mbrl_controller.nodes.messages import message_class

from .double import Double
from .drivers import DRIVERS, LEAP, LINKER, Driver

pytestmark = pytest.mark.ros
HANDS = share_dir() / "config" / "hands"
BY_NAME = {driver.contract.removesuffix(".yaml"): driver for driver in DRIVERS}


def some_angles(contract: RobotContract, share: float) -> np.ndarray:
    """A pose [A] (rad) in which each joint is elsewhere, within the limits, with a share of them between."""
    space, n = contract.action, len(contract.action)
    each = (share + np.arange(n) / n) % 1.0
    return space.lower + (0.02 + 0.96 * each) * (space.upper - space.lower)


def start(driver: Driver, foreign_node: Callable[..., Any]) -> tuple[RobotContract, Double]:
    contract = load_contract(HANDS / driver.contract)
    pose = dict(zip(contract.action.names, some_angles(contract, 0.3), strict=True))
    return contract, Double(driver, foreign_node, {j: pose[driver.contract_name(j)] for j in driver.joints})


def assembler(ros: Any, contract: RobotContract) -> tuple[StateAssembler, list[str]]:
    """The contract's state from the topics, as the controller subscribes to them, and what was refused."""
    found, refused = StateAssembler(contract), list[str]()

    def take(key: str, message: Any) -> None:
        try:
            found.update(key, message, 1e-9 * ros.node.get_clock().now().nanoseconds)
        except MessageError as error:
            refused.append(str(error))

    for source in contract.sources:
        kind, profile = message_class(source.type), qos.sensor(source)
        ros.node.create_subscription(kind, source.topic, lambda message, key=source.key: take(key, message), profile)
    return found, refused


def test_every_contract_has_a_double_and_every_double_a_contract() -> None:
    assert {path.name for path in HANDS.iterdir()} == {driver.contract for driver in DRIVERS}


@pytest.mark.parametrize("hand", BY_NAME)
def test_a_hand_is_heard_and_moved_in_its_own_words(hand: str, ros: Any, foreign_node: Callable[..., Any]) -> None:
    driver = BY_NAME[hand]
    contract, double = start(driver, foreign_node)
    names, space = contract.action.names, contract.action
    each = {driver.contract_name(j): abs(driver.unit(j, True).per) if driver.whole else 0.0 for j in driver.joints}
    grain = np.array([each[name] for name in names]) / 2 + 1e-6  # rad, to which a number of the driver can say it

    state, refused = assembler(ros, contract)
    live = LiveCheck(ros.node, contract)
    ros.wait(lambda: not state.missing, f"the states of {hand}; refused: {refused[-1:]}")
    vector, stamp = state.vector()
    joints = vector[contract.task.joint_positions]
    assert (np.abs(joints - some_angles(contract, 0.3)) <= grain).all()
    assert not refused
    assert 0 <= 1e-9 * ros.node.get_clock().now().nanoseconds - stamp < 5.0

    def findings() -> list[str]:  # a machine that has other work makes gaps
        return [f.problem for f in live.findings() if "gaps of" not in f.problem and "slower than" not in f.problem]

    ros.wait(lambda: not findings(), f"no findings on {hand}", timeout=10.0)

    publishers = [
        (to, ros.node.create_publisher(message_class(to.type), to.topic, qos.command(space.period)))
        for to in contract.destinations
    ]
    ros.wait(lambda: all(p.get_subscription_count() for _, p in publishers), f"the subscriptions of {hand}")
    for share in (0.0, 0.55):
        targets = np.stack([some_angles(contract, share + 0.1 * step) for step in range(3)])
        double.commanded.clear()
        double.points.clear()
        for to, publisher in publishers:
            publisher.publish(messages.command(encode_command(to, targets, space.period), stamp))
        ros.wait(lambda: len(double.commanded) == len(publishers) or double.refused, f"a command at {hand}")
        assert not double.refused
        heard = {driver.contract_name(j): angle for commanded in double.commanded for j, angle in commanded.items()}
        assert sorted(heard) == sorted(names)
        got = np.array([heard[name] for name in names])
        assert (np.abs(got - targets[0]) <= grain).all()
        for times in double.points:
            assert times == pytest.approx(space.period * (1 + np.arange(len(times))))
            assert len(times) == contract.destinations[0].points


@pytest.mark.parametrize(
    ("hand", "numbers"),
    [("leap_v1", [0.0] * len(LEAP)), ("linkerhand_l10", [-1.0] * len(LINKER))],
    ids=["leap_v1", "linkerhand_l10"],
)
def test_what_a_driver_sends_where_it_has_read_nothing_is_no_state(
    hand: str, numbers: list[float], ros: Any, foreign_node: Callable[..., Any]
) -> None:
    contract, double = start(BY_NAME[hand], foreign_node)
    double.numbers = numbers
    state, refused = assembler(ros, contract)
    ros.wait(lambda: len(refused) > 2, "refused messages")
    assert state.missing


def test_the_tactile_sensors_are_the_numbers_at_their_places(ros: Any, foreign_node: Callable[..., Any]) -> None:
    contract, double = start(BY_NAME["allegro_v5_sense"], foreign_node)
    state, _ = assembler(ros, contract)
    ros.wait(lambda: not state.missing, "the states")
    at = contract.task.state.indices([f"{name}.value" for name in ("palm", "thumb_tip", "ring_tip")])
    assert state.vector()[0][at].tolist() == [double.tactile[i] for i in (0, 3, 15)]


def test_the_pollers_file_for_leap_names_the_joints_of_its_contract_in_the_drivers_order() -> None:
    document = yaml.safe_load((share_dir() / "config" / "joint_poller_leap_v1.yaml").read_text())
    given = document["joint_poller"]["ros__parameters"]
    assert tuple(given["joints"]) == LEAP == load_contract(HANDS / "leap_v1.yaml").action.names
