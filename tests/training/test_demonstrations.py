# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Demonstrations on disk, and the goals that a planner sees along states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.training.demonstrations import Demonstrations, goals_ahead, join


def demonstrations(count: int, sequence: int = 0, sizes: tuple[int, int, int, int, int] = (3, 4, 1, 5, 2)):
    S, L, G, H, A = sizes
    rng = np.random.default_rng(count)
    draw = [rng.normal(size=shape).astype(np.float32) for shape in ((count, S), (count, L, G), (count, H, A))]
    return Demonstrations(*draw, np.full(count, sequence))


def test_a_file_gives_back_what_was_saved_and_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    data = demonstrations(6)
    for name in ("a", "b"):
        data.save(tmp_path / name)
    again = Demonstrations.load(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for field in ("state", "goal", "plan", "sequence"):
        np.testing.assert_array_equal(getattr(again, field), getattr(data, field))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive at all"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "part-00000.npz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=path.name):
        Demonstrations.load(path)


def test_joined_sequences_stay_apart_and_in_order() -> None:
    whole = join([demonstrations(3, 7), demonstrations(2, 7), demonstrations(1, 0)])
    assert whole.sequence.tolist() == [0, 0, 0, 1, 1, 2]
    assert len(whole.first(4)) == 4


def test_nothing_to_join_and_sizes_that_differ_are_refused() -> None:
    with pytest.raises(DatasetError):
        join([])
    good = demonstrations(3)
    with pytest.raises(DatasetError, match="plan"):
        Demonstrations(good.state, good.goal, good.plan[:2], good.sequence)


def test_goals_ahead_are_those_of_the_clock_one_period_apart() -> None:
    contract = contract_for("baoding")
    task, period = contract.task, contract.action.period
    goal = task.sample_goal(np.random.default_rng(0), phase=0.3)
    states = np.zeros((5, len(task.state)))
    ahead = goals_ahead(task, goal, states, period, rows=9, begin=1.0)
    for t in range(5):
        np.testing.assert_allclose(ahead[t], goal.at(1.0 + period * (t + np.arange(1, 10))))


def test_goals_wait_for_the_balls_as_the_controllers_do() -> None:
    contract = contract_for("baoding")
    task, period = contract.task, contract.action.period
    x, y = len(task.joints), len(task.joints) + 6
    states = np.zeros((40, len(task.state)))  # balls that rest at phase 0 while the targets go on
    states[:, x] = task.radii[0]
    states[:, y] = -task.radii[0]
    free, waiting = (
        goals_ahead(task, task.sample_goal(np.random.default_rng(0), phase=0.0), states, period, 3, lead)
        for lead in (0.0, 0.5)
    )

    def phase(goals: np.ndarray) -> np.ndarray:
        offset = (goals[:, 0, :2] - task.center) / task.radii
        return np.unwrap(np.arctan2(offset[:, 1], offset[:, 0]))

    turn = 2 * np.pi / task.period * period
    assert phase(free)[-1] == pytest.approx(40 * turn)
    assert phase(waiting)[-1] == pytest.approx(0.5 + turn)  # the row is one period ahead of the state
