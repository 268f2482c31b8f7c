# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Shares of missed ticks and late plans, as /diagnostics tells them, are shares: of all ticks, whenever it is asked."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from hypothesis import given
from hypothesis import strategies as st
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import LoggingSeverity

from mbrl_controller.contract.contract import load_contract
from mbrl_controller.control.loop import FixedRateLoop
from mbrl_controller.control.pacing import TickTime
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.nodes.control_loop import ControlLoop
from mbrl_controller.nodes.controller import ControllerNode
from mbrl_controller.nodes.tick_shares import TickCounts, TickShares

from .conftest import SMALL_HAND, linear_registry

WINDOW = 10.0  # ticks


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.floats(0, 1)), max_size=40))
def test_no_share_is_more_than_all(steps: list[tuple[int, int, float]]) -> None:
    shares, counts = TickShares(), TickCounts()
    for ticks, missed, late in steps:
        counts = TickCounts(counts.ticks + ticks, counts.missed + missed, counts.late + round(late * ticks))
        found = shares.add(counts, WINDOW)
        if found is not None:
            assert all(0 <= share <= 1 for share in found)


def test_a_share_is_of_the_ticks_since_the_report_before() -> None:
    shares = TickShares()
    assert shares.add(TickCounts(10, 0, 10), WINDOW) == (0.0, 1.0)
    assert shares.add(TickCounts(19, 1, 13), WINDOW) == (pytest.approx(0.1), pytest.approx(3 / 9))
    assert shares.add(TickCounts(29, 1, 13), WINDOW) == (0.0, 0.0)


def test_a_report_out_of_turn_tells_of_more_than_a_tick_or_two() -> None:
    """One late plan just before a change of state is told is no reason to say that all were late."""
    shares = TickShares()
    shares.add(TickCounts(100, 0, 0), WINDOW)
    shares.add(TickCounts(110, 0, 0), WINDOW)
    assert shares.add(TickCounts(111, 0, 1), WINDOW) == (0.0, pytest.approx(1 / 11))
    assert shares.add(TickCounts(120, 0, 1), WINDOW) == (0.0, pytest.approx(1 / 10))
    assert shares.add(TickCounts(130, 0, 1), WINDOW) == (0.0, 0.0)


def test_nothing_is_told_where_no_tick_came() -> None:
    shares = TickShares()
    assert shares.add(TickCounts(), WINDOW) is None
    shares.add(TickCounts(50, 0, 20), WINDOW)
    assert shares.add(TickCounts(50, 0, 20), WINDOW) is None


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControllerNode]:
    """A configured controller that believes to be active; who ticks is the test."""
    pytest.importorskip("onnx")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    monkeypatch.setattr(ControllerNode, "is_active", property(lambda self: True))
    (tmp_path / "contract.yaml").write_text(SMALL_HAND)
    models = linear_registry(load_contract(tmp_path / "contract.yaml"), tmp_path, ("v0001",), turn=0.1)
    given = {"contract": str(tmp_path / "contract.yaml"), "models_dir": str(models)}
    rclpy.init()
    made = ControllerNode(parameter_overrides=[rclpy.Parameter(name, value=value) for name, value in given.items()])
    made.get_logger().set_level(LoggingSeverity.FATAL)
    try:
        assert made.trigger_configure() == TransitionCallbackReturn.SUCCESS, made.reason
        yield made
    finally:
        made._loop = None
        made.bring_down()
        made.destroy_node()
        rclpy.try_shutdown()


@pytest.mark.parametrize("seed", range(5))
def test_all_plans_are_late_is_never_more_than_that(node: ControllerNode, seed: int, monkeypatch) -> None:
    """Reports come at any moment: also in the middle of a tick, when its plan is late already and not yet counted."""
    told: list[str] = []
    monkeypatch.setattr(node._diagnostics, "publish", lambda level, message, *rest: told.append(message))
    rng = np.random.default_rng(seed)

    class Late:
        late, denied = 0, ()

        def plan(self, *arguments: object) -> None:
            self.late += 1
            if rng.random() < 0.4:
                node._publish_report()

    configured = node._configured
    assert configured is not None
    monkeypatch.setattr(configured.graph, "holds", lambda *arguments: False)  # as where a hand takes the commands
    loop = node._loop = ControlLoop(node, configured, node._stop_button, node._counters, node._process)
    loop._planner, loop._loop = Late(), FixedRateLoop(configured.period, loop._tick, on_error=loop._failed)
    configured.output.open_command(False)
    configured.session.enter(node.now_s())
    for index in range(40):
        now = time.monotonic()
        for source in configured.contract.sources:
            message = source_message(source, [0.0] * len(source.entries()), node.get_clock().now().nanoseconds)
            configured.inputs.receive(source.topic, message, now)
        loop._tick(TickTime(index, now, now, 0))
        loop.statistics.ticks += 1
        if rng.random() < 0.4:
            node._publish_report()
    assert loop._planner.late > 30
    shares = [float(share) for message in told for share in re.findall(r"late plans: ([\d.]+) %", message)]
    assert shares
    assert max(shares) <= 100.0
