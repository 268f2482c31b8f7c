# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A hand takes its place in somebody else's launch from where it is included, and leaves nothing behind there."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("launch_ros")

pytestmark = [pytest.mark.ros, pytest.mark.slow]
LATER = """
PushROSNamespace('later'), SetRemap('joint_states', 'wrong'), SetParameter('use_sim_time', False),
SetEnvironmentVariable('PLACE', 'later'),
"""


def environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def check_replaced(it, side: str, first: int) -> None:
    """Kill one hand's logger: its replacement is as the first was, and the other hand does not notice."""
    other = {"left": "right", "right": "left"}[side]
    before, place = it.command(it.pids("logger")[first]), environment(it.pids("logger")[first])["PLACE"]
    it.kill("logger", first)
    it.ros.wait(lambda: len(it.pids("logger")) == 3, "another logger")
    it.wait_for_state(f"/{side}/logger", "active")
    assert it.command(it.pids("logger")[2]) == before
    assert f"__ns:=/{side}" in before
    assert environment(it.pids("logger")[2])["PLACE"] == place == side
    assert len(it.pids("controller")) == 2
    for node in (f"/{side}/controller", f"/{other}/controller", f"/{other}/logger"):
        assert it.state(node) == "active"


@pytest.mark.parametrize("kind", ["robot", "sim"])
def test_two_grouped_hands(launch, small, small_valve, kind):
    given = small if kind == "robot" else small_valve
    hands = "".join(
        f"GroupAction([PushROSNamespace('{side}'), SetParameter('seed', 5), SetRemap('x', '{side}'),"
        f" SetEnvironmentVariable('PLACE', '{side}'), include('{kind}', **{given | clock})]),"
        for side, clock in (("left", {}), ("right", {"publish_clock": "false"} if kind == "sim" else {}))
    )
    it = launch(f"{hands}{LATER}")
    for side in ("left", "right"):
        it.wait_for_state(f"/{side}/controller", "active")
    it.wait_for_state("/left/logger", "active")
    it.wait_for_state("/right/logger", "active")
    check_replaced(it, "left", 0)
    assert "x:=left" in it.command(it.pids("logger")[2])
    # and the end of one is not the end of the other
    it.kill("controller", 0)
    it.wait_for("/left/controller ended with -9")
    assert it.stays("/right/controller", "active")
    assert it.alive(it.pids("logger")[1])
    it.ros.wait(lambda: not it.alive(it.pids("logger")[2]), "the end of the left logger")


def test_two_flat_hands(launch, small):
    hands = "".join(
        f"SetEnvironmentVariable('PLACE', '{side}'), include('robot', namespace='{side}', remap='y={side}', **{small}),"
        for side in ("left", "right")
    )
    it = launch(f"{hands}{LATER}")
    for side in ("left", "right"):
        it.wait_for_state(f"/{side}/controller", "active")
        it.wait_for_state(f"/{side}/logger", "active")
    check_replaced(it, "left", 0)
    assert "y:=left" in it.command(it.pids("logger")[2])
    assert "y:=right" not in it.command(it.pids("logger")[2])


@pytest.mark.parametrize("before", ["", "SetRemap('a', 'b'),"])
@pytest.mark.parametrize("group", [False, True])
def test_remap_reaches_no_node_that_is_launched_later(launch, small, before, group):
    """A group would not do: once there is a remap outside, launch_ros adds to that very list."""
    hand = f"include('robot', remap='joint_states=/elsewhere', **{small})"
    hand = f"GroupAction([{hand}])" if group else hand
    it = launch(f"{before} {hand}, Node(package='mbrl_controller', executable='sim', name='later')")
    it.wait_for_state("/controller", "active")
    it.ros.wait(lambda: it.pids("sim"), "the user's own node")
    assert "joint_states:=/elsewhere" in it.command(*it.pids("controller"))
    assert "joint_states:=/elsewhere" in it.command(*it.pids("logger"))
    later = it.command(*it.pids("sim"))
    assert not [part for part in later if "elsewhere" in part]
    assert ("a:=b" in later) is bool(before)
