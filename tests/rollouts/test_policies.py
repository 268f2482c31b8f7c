# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.rollouts.policies import RandomMotion


def motion(seed, steps=60, scale=1.0, size=24):
    policy = RandomMotion(size, seed, scale)
    return np.array([policy() for _ in range(steps)])


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.05, 1.0))
def test_actions_stay_within_the_scale_and_move_at_the_speeds_given(seed, scale):
    actions = motion(seed, scale=scale)
    assert np.abs(actions).max() <= scale
    speed = np.abs(np.diff(actions, axis=0)) / scale
    inside = (np.abs(actions[1:]) < scale) & (np.abs(actions[:-1]) < scale)
    assert speed.max() <= 0.15 + 1e-9
    assert speed[inside].min() >= 0.05 - 1e-9


@given(seed=st.integers(0, 2**32 - 1))
def test_velocity_is_held_for_two_steps_and_turns_inwards_at_the_limits(seed):
    actions = motion(seed)
    velocity = np.diff(actions, axis=0)[:58]
    free = np.abs(actions).max(0) < 1
    np.testing.assert_allclose(velocity[0::2, free], velocity[1::2, free], atol=1e-12)
    at_limit = np.abs(actions[:58]) >= 1
    assert (np.sign(velocity[at_limit]) == -np.sign(actions[:58][at_limit])).all()


def test_seeds_repeat_and_differ():
    np.testing.assert_array_equal(motion(1), motion(1))
    assert not np.array_equal(motion(1), motion(2))
    policy = RandomMotion(24, 2)
    policy()
    policy.reset(1)
    np.testing.assert_array_equal(policy(), motion(1)[0])


def test_motion_does_not_pile_up_at_the_limits():
    actions = np.concatenate([motion(seed, 100) for seed in range(20)])
    assert (np.abs(actions) >= 1).mean() < 0.15
    assert abs(actions.mean()) < 0.05


def test_scale_must_be_positive_and_at_most_one():
    for bad in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match="scale"):
            RandomMotion(3, 0, bad)
