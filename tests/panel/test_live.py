# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.panel.history import History
from mbrl_controller.panel.live import Live
from mbrl_controller.panel.plots import filled


@pytest.fixture
def live() -> Live:
    return Live(load_contract(share_dir() / "config" / "claw_valve.yaml"))


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 9])
def test_a_history_keeps_the_newest_rows_in_their_order(rows: int) -> None:
    history = History(("a", "b"), 4)
    for i in range(rows):
        history.add(np.array([i, -i], dtype=float))
    assert history.column("a").tolist() == list(range(rows))[-4:]
    assert history.column("b").tolist() == [-i for i in range(rows)][-4:]
    assert (len(history), history.count) == (min(rows, 4), rows)


def test_the_return_is_of_one_episode(live: Live) -> None:
    for episode, reward in ((0, 1.0), (0, 2.0), (0, np.nan), (1, 5.0), (1, 5.0)):
        live.take_tick({"stamp": 0.0, "episode": float(episode), "reward": reward})
    assert live.ticks.column("return").tolist() == [1.0, 3.0, 3.0, 5.0, 10.0]


def test_limits_that_bind_are_those_of_position_and_of_rate(live: Live) -> None:
    action = live.contract.action
    live.take_tick({"stamp": 0.0})
    position = action.neutral.copy()
    live.position, live.command = position, position.copy()
    assert live.binding_limits() == []
    live.command = position.copy()
    live.command[0] = action.upper[0]
    live.command[2] = position[2] + action.max_rate[2] * action.period
    assert set(live.binding_limits()) == {action.names[0], action.names[2]}
    live.ticked = -np.inf  # the controller is gone
    assert live.binding_limits() == []


def test_an_old_status_is_none(live: Live) -> None:
    live.take_status("controller: control", 0, "running", {"reason": "planning"})
    found = live.status("controller: control")
    assert found is not None
    assert found.values["reason"] == "planning"
    live.statuses["controller: control"] = found.__class__(0, "", {}, -np.inf)
    assert live.status("controller: control") is None
    assert live.status("another") is None


def test_episodes_are_noted_and_few_lines_kept(live: Live) -> None:
    for number in range(10):
        live.take_episode({"event": "begin", "episode": number})
        live.take_episode({"event": "end", "episode": number, "reason": "drop"})
    assert len(live.notes) == live.notes.maxlen
    assert "episode 9 ended: drop" in live.notes[-1]


def test_plots_hold_the_value_before_where_one_is_missing() -> None:
    nan = np.nan
    assert filled(np.array([nan, 1.0, nan, nan, 3.0, nan])).tolist() == [1.0, 1.0, 1.0, 1.0, 3.0, 3.0]
    assert filled(np.array([nan, np.inf])).tolist() == [0.0, 0.0]
    assert filled(np.zeros(0)).tolist() == []
