# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What one can jump to."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.episodes.trajectory_writer import START_NS
from mbrl_controller.replay.moments import Moment, find_moments, next_moment
from mbrl_controller.replay.recording import Recording

from .conftest import PERIOD, STEPS

RUNNING, HOLDING = 2.0, 3.0  # of `safety_state`


def ticks(**columns: np.ndarray) -> dict[str, np.ndarray]:
    return {"stamp": START_NS / 1e9 + PERIOD * np.arange(STEPS), **columns}


def of(made, kind: str) -> list[Moment]:
    return [moment for moment in find_moments(Recording.load(made.path)) if moment.kind == kind]


def test_a_hold_has_the_reason_that_the_controller_gave(make) -> None:
    states = np.full(STEPS, RUNNING)
    states[6:9] = HOLDING
    made = make(ticks=ticks(safety_state=states), statuses=[(0.6, "holding", "joint_states: silent", 1.0)])
    (hold,) = of(made, "hold")
    assert hold.time == pytest.approx(0.6)
    assert "joint_states: silent" in hold.text


def test_a_hold_between_two_episodes_is_of_neither(make) -> None:
    states = np.full(STEPS, HOLDING)
    times = ticks(safety_state=states)
    times["stamp"] = times["stamp"] - 5.0
    assert of(make(ticks=times), "hold") == []


def test_disagreement_is_high_above_the_limit_once_for_each_stretch(make) -> None:
    values = np.full(STEPS, 0.1)
    values[4:7] = [0.6, 0.9, 0.7]
    values[12] = 0.55
    made = make(ticks=ticks(disagreement=values), statuses=[(0.0, "running", "", 0.5)])
    found = of(made, "disagreement")
    assert [moment.time for moment in found] == pytest.approx([0.5, 1.2])
    assert "limit 0.5" in found[0].text


def test_without_a_limit_the_highest_of_an_episode_is_high(make) -> None:
    values = np.linspace(0.1, 0.2, STEPS)
    values[3] = 0.9
    found = of(make(ticks=ticks(disagreement=values)), "disagreement")
    assert [moment.time for moment in found] == pytest.approx([0.3])


@pytest.mark.parametrize("values", [np.full(STEPS, np.nan), np.zeros(STEPS)])
def test_where_nothing_disagrees_nothing_is_high(make, values: np.ndarray) -> None:
    assert of(make(ticks=ticks(disagreement=values)), "disagreement") == []


def test_late_plans_are_told_once_for_each_row_of_them(make) -> None:
    sources = np.full(STEPS, 3.0)
    sources[[2, 3, 9]] = 2.0
    found = of(make(ticks=ticks(source=sources)), "late plan")
    assert [moment.time for moment in found] == pytest.approx([0.2, 0.9])
    assert found[0].text == "2 in a row"


def test_an_episode_that_ended_with_a_drop_has_one(make) -> None:
    (drop,) = of(make(reason="drop"), "drop")
    assert drop.time == pytest.approx(STEPS * PERIOD)
    assert of(make(), "drop") == []


def test_one_jumps_to_the_nearest_of_a_kind() -> None:
    moments = (Moment(0.0, "begin", ""), Moment(1.0, "hold", ""), Moment(2.0, "drop", ""), Moment(3.0, "hold", ""))
    assert next_moment(moments, 1.0) == moments[2]
    assert next_moment(moments, 1.0, "hold") == moments[3]
    assert next_moment(moments, 2.5, "hold", backwards=True) == moments[1]
    assert next_moment(moments, 1.0, backwards=True) == moments[0]
    assert next_moment(moments, 3.0) is None
    assert next_moment(moments, 3.0, "disagreement") is None
