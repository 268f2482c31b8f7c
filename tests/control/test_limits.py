# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which commands are allowed, and why there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.control.limits import allowed, obstacle
from mbrl_controller.tasks.spaces import ActionSpace

ACTION = ActionSpace(
    ("A", "B"), np.array([-1.0, -0.5]), np.array([1.0, 2.0]), np.zeros(2), np.array([3.0, 1.0]), 0.1
)  # one period reaches 0.3 and 0.1 rad
pose = st.none() | st.tuples(st.floats(-1.5, 1.5), st.floats(-1.0, 2.5)).map(np.array)


@given(pose, pose, st.sampled_from([0.5, 1.0, 3.0]))
def test_the_window_is_what_all_limits_leave(position: np.ndarray | None, last: np.ndarray | None, jump: float) -> None:
    window = allowed(ACTION, position, last, jump)
    for j, (lower, upper, reach) in enumerate(((-1.0, 1.0, 0.3), (-0.5, 2.0, 0.1))):
        lowest, highest = [lower], [upper]
        if position is not None:
            lowest.append(position[j] - reach)
            highest.append(position[j] + reach)
        if last is not None:
            lowest.append(last[j] - jump * reach)
            highest.append(last[j] + jump * reach)
        assert window.lower[j] == pytest.approx(max(lowest))
        assert window.upper[j] == pytest.approx(min(highest))
        assert window.crossed[j] == (window.lower[j] > window.upper[j])


def test_of_a_window_the_nearest_command_is_taken() -> None:
    window = allowed(ACTION, np.array([0.0, 1.0]), None, 2.0)
    np.testing.assert_allclose(window.nearest(np.array([9.0, -9.0])), [0.3, 0.9])
    np.testing.assert_allclose(window.nearest(np.array([0.1, 1.05])), [0.1, 1.05])


def why(position: list[float] | None, last: list[float] | None = None) -> str:
    angles, command = (None if values is None else np.array(values) for values in (position, last))
    return obstacle(ACTION, angles, command, 2)


def test_a_joint_that_cannot_be_back_within_its_limits_in_a_period_is_named() -> None:
    assert why([-1.29, 0.0]) == why([1.29, 0.0]) == why([0.0, -0.59]) == why([0.0, 2.09]) == ""
    assert why([-1.4, 0.0]) == "A is measured at -1.4 rad, 0.4 outside its limits"
    assert why([1.35, 0.0]) == "A is measured at 1.35 rad, 0.35 outside its limits"
    assert why([0.0, -0.75]) == "B is measured at -0.75 rad, 0.25 outside its limits"
    assert why([0.0, 2.2]) == "B is measured at 2.2 rad, 0.2 outside its limits"
    assert why([1.4, 2.2]).startswith("A ")  # the first at fault


def test_a_joint_too_far_from_its_command_is_named_with_both() -> None:
    """The hand reaches 0.1 and the command 0.2 rad: 0.3 apart is still bridged."""
    assert why([0.0, 0.29], [0.0, 0.0]) == ""
    for at in (0.31, -0.31):
        assert why([0.0, at], [0.0, 0.0]).startswith(f"B is measured at {at} rad, too far from its command of 0;")


def test_a_joint_far_outside_its_limits_is_that_wherever_its_command_was() -> None:
    assert "outside its limits" in why([1.4, 0.0], [1.0, 0.0])
    assert "outside its limits" in why([-1.4, 0.0], [0.0, 0.0])
    # A little outside, which the next command would mend, and far from its command, which none can.
    assert "too far from its command" in why([1.2, 0.0], [0.0, 0.0])
    assert "too far from its command" in why([0.0, -0.55], [0.0, 0.0])


def test_where_the_hand_is_not_known_nothing_stands_in_the_way() -> None:
    assert why(None) == why(None, [0.0, 0.0]) == ""
