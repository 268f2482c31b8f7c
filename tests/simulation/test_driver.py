# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What simulated drivers do with messages of several topics, parts of the hand, and plans."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.simulation.driver import SimulatedDriver

NAN = np.nan


def test_each_joint_keeps_its_last_target() -> None:
    driver = SimulatedDriver(np.array([0.1, 0.2, 0.3]))
    assert not driver.news(9.0)
    driver.receive("fingers", np.zeros(1), np.array([[1.0, NAN, NAN]]), 9.0)
    driver.receive("wrist", np.zeros(1), np.array([[NAN, NAN, 3.0]]), 9.0)
    assert driver.news(9.0)
    np.testing.assert_array_equal(driver.target, [1.0, 0.2, 3.0])
    assert not driver.news(99.0)


def test_a_plan_is_followed_and_replaced_by_its_topics_next_message_alone() -> None:
    driver = SimulatedDriver(np.zeros(2))
    times, plan = np.array([0.1, 0.2, 0.3]), np.array([[1.0, NAN], [2.0, NAN], [3.0, NAN]])
    driver.receive("a", times, plan, 5.0)
    driver.receive("b", np.zeros(1), np.array([[NAN, 7.0]]), 5.0)
    seen = []
    for now in (5.0, 5.05, 5.15):
        driver.news(now)
        seen.append(driver.target.tolist())
    assert seen == [[1.0, 7.0], [1.0, 7.0], [2.0, 7.0]]
    driver.receive("b", np.zeros(1), np.array([[NAN, 8.0]]), 5.16)
    assert driver.news(5.4)
    assert driver.target.tolist() == [3.0, 8.0]
    driver.receive("a", times, plan, 6.0)
    driver.receive("a", times[:1], np.array([[1.5, NAN]]), 6.05)  # a stop: one point
    driver.news(7.0)
    assert driver.target.tolist() == [1.5, 8.0]


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=2), st.floats(0, 1))
def test_a_whole_command_is_the_target_to_the_last_bit(target, now) -> None:
    driver = SimulatedDriver(np.zeros(2))
    driver.receive("hand", np.zeros(1), np.array([target]), now)
    assert driver.news(now)
    assert driver.target.tobytes() == np.array(target).tobytes()
