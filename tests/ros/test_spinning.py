# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A thread that runs callbacks, and ends before what it waits for is taken away."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")

from rclpy.executors import SingleThreadedExecutor

from mbrl_controller.nodes.spinning import Spinner

pytestmark = pytest.mark.ros


@pytest.fixture
def node(ros_env: dict[str, str]) -> Iterator[Any]:
    rclpy.init()
    made = rclpy.create_node("spun")
    yield made
    made.destroy_node()
    rclpy.try_shutdown()


def test_the_thread_ends_before_the_executor(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or, once in thousands of times, it raises for want of what it was about to wait for."""
    spinning = []
    shutdown = SingleThreadedExecutor.shutdown

    def watched(executor: SingleThreadedExecutor) -> bool:
        spinning.append(any(thread.name == "spinner" for thread in threading.enumerate()))
        return bool(shutdown(executor))

    monkeypatch.setattr(SingleThreadedExecutor, "shutdown", watched)
    called = threading.Event()
    once = False

    def tick() -> None:
        if once:  # then there is nothing to do that would wake it; rclpy takes it ill from another thread
            timer.cancel()
        called.set()

    timer = node.create_timer(1e-4, tick)
    for number in range(20):
        called.clear()
        once = bool(number % 2)
        spinner = Spinner(node, "spinner")
        assert called.wait(10.0)
        spinner.stop()
        assert not spinner.failed
        timer.reset()
    assert spinning == [False] * 20


def test_a_callback_that_raises_ends_it(node: Any, capfd: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError("in a callback")

    node.create_timer(1e-3, fail)
    spinner = Spinner(node, "spinner", on_end=ended.set)
    assert ended.wait(10.0)
    spinner.stop()
    assert spinner.failed
    assert "in a callback" in capfd.readouterr().err


def test_nothing_is_kept_of_each_callback(node: Any) -> None:
    """rclpy's way to spin until something is done keeps a function for each callback."""
    count = [0]
    reached = {number: threading.Event() for number in (100, 1100)}

    def step() -> None:
        count[0] += 1
        if count[0] in reached:
            reached[count[0]].set()

    def functions() -> int:
        gc.collect()
        return sum(type(kept) is FunctionType for kept in gc.get_objects())

    node.create_timer(1e-4, step)
    spinner = Spinner(node, "spinner")
    assert reached[100].wait(10.0)
    before = functions()
    assert reached[1100].wait(20.0)
    assert functions() < before + 200
    spinner.stop()
