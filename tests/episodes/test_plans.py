# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The plans in an episode's file, damaged ones left out."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.plans import read_plans
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.writer import EpisodeWriter

STAMP = 5_000_000_000


def plan(names: tuple[str, ...], rows: np.ndarray, stamp: int) -> object:
    return ros_messages.trajectory(names, rows, 0.1 * np.arange(len(rows)), stamp)


def test_plans_come_by_stamp_in_the_contracts_order_of_joints(tmp_path, claw: RobotContract) -> None:
    names, rows = claw.action.names, np.arange(18.0).reshape(2, 9)
    path = tmp_path / "episode_0000.mcap"
    with EpisodeWriter(path, claw, EpisodeInfo("s", 0, topics={"plan": "/left/controller/plan"})) as writer:
        writer.write("/left/controller/plan", plan(names, rows + 1, STAMP + 1), 2)
        writer.write("/left/controller/plan", plan(names[::-1], rows[:, ::-1], STAMP), 1)
        writer.write("/controller/plan", plan(names, rows, STAMP + 2), 3)  # another hand's
    found = read_plans(read_episode(path))
    assert [one.stamp for one in found] == [STAMP, STAMP + 1]
    np.testing.assert_array_equal(found[0].targets, rows)
    np.testing.assert_array_equal(found[1].targets, rows + 1)


@pytest.mark.parametrize("damage", ["cut", "names", "values", "empty", "type"])
def test_what_is_no_plan_is_passed_over(tmp_path, claw: RobotContract, damage: str) -> None:
    names, rows = claw.action.names, np.zeros((2, 9))
    good = plan(names, rows, STAMP)
    bad = {
        "names": plan((*names[:-1], "other"), rows, STAMP + 1),
        "values": plan(names, rows * np.nan, STAMP + 1),
        "empty": plan(names, rows[:0], STAMP + 1),
        "type": ros_messages.string("no plan"),
    }
    path = tmp_path / "episode_0000.mcap"
    with EpisodeWriter(path, claw, EpisodeInfo("s", 0)) as writer:
        if damage == "cut":
            writer.write_raw("/controller/plan", good.__msgtype__, ros_messages.encode(good)[:-4], 1)
        else:
            writer.write("/controller/plan", bad[damage], 1)
        writer.write("/controller/plan", good, 2)
    assert [one.stamp for one in read_plans(read_episode(path))] == [STAMP]
