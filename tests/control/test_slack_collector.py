# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which generation of garbage is collected when, and when there is no time for it: with a collector made up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mbrl_controller.control import realtime
from mbrl_controller.control.realtime import RealtimeProcess, SlackCollector


class World:
    """Stands in for gc and time: so many new objects, and so long a collection of each generation."""

    def __init__(self) -> None:
        self.new, self.now = 700, 50.0
        self.takes = [0.001, 0.01, 0.1]
        self.asked: list[int] = []
        self.log: list[str] = []
        self.enabled = True

    # gc
    def get_count(self) -> tuple[int, int, int]:
        return self.new, 0, 0

    def collect(self, generation: int = 2) -> None:
        self.asked.append(generation)
        self.log.append(f"collect {generation}")
        self.now += self.takes[generation]

    def isenabled(self) -> bool:
        return self.enabled

    def disable(self) -> None:
        self.log.append("disable")

    def enable(self) -> None:
        self.log.append("enable")

    def freeze(self) -> None:
        self.log.append("freeze")

    def unfreeze(self) -> None:
        self.log.append("unfreeze")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(realtime, "gc", world)
    monkeypatch.setattr(realtime, "time", SimpleNamespace(monotonic=lambda: world.now))
    return world


def test_at_the_start_all_garbage_goes_and_what_is_left_is_set_aside(world: World) -> None:
    collector = SlackCollector()
    collector.start()
    assert world.log == ["disable", "collect 2", "freeze"]
    collector.stop()
    assert world.log[3:] == ["unfreeze", "enable"]


def test_a_collector_that_was_off_stays_off(world: World) -> None:
    world.enabled = False
    collector = SlackCollector()
    collector.start()
    collector.stop()
    assert "enable" not in world.log


def test_from_700_new_objects_on_a_collection_is_worth_its_time(world: World) -> None:
    collector = SlackCollector()
    world.new = 699
    collector.collect(9.0)
    assert (world.asked, collector.collections, collector.postponed) == ([], 0, 0)
    world.new = 700
    collector.collect(9.0)
    assert (world.asked, collector.collections, collector.postponed) == ([0], 1, 0)


def test_each_older_generation_is_collected_after_ten_of_the_one_before(world: World) -> None:
    collector = SlackCollector()
    for _ in range(250):
        collector.collect(9.0)
    ten = [0] * 10
    assert world.asked[:44] == [*ten, 1, *ten, 1, *ten, 1, *ten, 1]
    assert world.asked.index(2) == 10 * 11 + 10
    after = world.asked[world.asked.index(2) + 1 :]
    assert after[:11] == [*ten, 1]
    assert collector.collections == 250


def test_it_is_expected_to_take_twice_as_long_as_the_last(world: World) -> None:
    collector = SlackCollector()
    collector.collect(0.002)  # as long as one is expected to take before the first
    assert (world.asked, collector.postponed) == ([], 1)
    collector.collect(0.0021)
    assert world.asked == [0]
    world.takes[0] = 0.004
    collector.collect(0.0021)  # twice 1 ms
    collector.collect(0.0079)  # less than twice 4 ms
    assert len(world.asked) == 2
    collector.collect(0.0081)
    assert len(world.asked) == 3
    assert collector.longest == pytest.approx(0.004)


def test_without_room_a_tenth_less_is_expected_each_time(world: World) -> None:
    world.takes[0] = 1.0
    collector = SlackCollector()
    collector.collect(9.0)
    for _ in range(6):
        collector.collect(1.1)  # 2.0, 1.8, 1.62, 1.458, 1.312, 1.181
    assert (len(world.asked), collector.postponed) == (1, 6)
    collector.collect(1.1)  # 1.063
    assert (len(world.asked), collector.postponed) == (2, 6)


def test_where_there_is_no_room_for_an_old_generation_a_younger_one_is_collected(world: World) -> None:
    collector = SlackCollector()
    for _ in range(11):
        collector.collect(9.0)
    assert world.asked[-1] == 1
    for _ in range(10):
        collector.collect(9.0)
    collector.collect(0.015)  # generation 1 takes 10 ms and is expected to take 20
    assert world.asked[-1] == 0
    assert collector.postponed == 0
    collector.collect(0.0185)  # a tenth less
    assert world.asked[-1] == 1


def test_the_longest_collection_is_remembered(world: World) -> None:
    collector = SlackCollector()
    for takes in (0.001, 0.005, 0.002):
        world.takes[0] = takes
        collector.collect(9.0)
    assert collector.longest == pytest.approx(0.005)


def test_what_it_did_is_on_diagnostics_in_milliseconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "_status", lambda name: {"VmLck": "2048 kB"}[name])
    process = RealtimeProcess(gc_in_slack=True)
    assert process.in_slack is not None
    process.in_slack(9.0)
    process.in_slack(0.0)
    assert process.values() == {
        "locked memory (MiB)": 2.0,
        "garbage collections": 1,
        "garbage collections postponed": 1,
        "garbage collection.max (ms)": pytest.approx(1.0),
    }
    assert RealtimeProcess().values() == {"locked memory (MiB)": 2.0}
