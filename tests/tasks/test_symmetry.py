# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Mirrored dynamics are the dynamics of the mirrored, for symmetries that swap, turn and relabel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.control.task_config import contract_for
from mbrl_controller.tasks.orientation import about, axes_to_matrix, compose, cube_group, matrix_to_axes, orthonormal
from mbrl_controller.tasks.spaces import AXES, VectorSpec
from mbrl_controller.tasks.symmetry import Symmetry, object_symmetries

STATE = VectorSpec(
    (*(f"cube.position.{a}" for a in "xyz"), *(f"cube.orientation.{a}" for a in AXES),
     *(f"cube.angular_velocity.{a}" for a in "xyz")),
    ("m",) * 3 + ("",) * 6 + ("rad/s",) * 3,
)  # fmt: skip
PLACE, AXES6, SPIN = slice(0, 3), slice(3, 9), slice(9, 12)
finite = st.floats(-2, 2)
states = st.lists(finite, min_size=12, max_size=12).map(
    lambda v: np.array([*v[:3], *orthonormal(np.array(v[3:9])), *v[9:]])
)
actions = st.lists(finite, min_size=3, max_size=3).map(np.array)


def push(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """A cube in free space that a force moves and spins: only the vertical is special, because it falls."""
    after = state.copy()
    after[PLACE] = state[PLACE] + 0.1 * action - np.array([0, 0, 0.05])
    after[SPIN] = 0.9 * state[SPIN] + np.cross(state[PLACE], action)
    angle = 0.1 * np.linalg.norm(after[SPIN])
    turn = about(after[SPIN] + np.array([0, 0, 1e-12]), np.array(angle))
    after[AXES6] = compose(turn, state[AXES6])
    return after


def about_vertical(angle: float) -> Symmetry:
    """The world turned about the vertical."""
    rotation = axes_to_matrix(about(np.array([0.0, 0.0, 1.0]), np.array(angle)))
    whole = np.kron(np.eye(4), rotation)
    return Symmetry(
        "turned",
        state_matrix=tuple(map(tuple, whole.tolist())),
        action_matrix=tuple(map(tuple, rotation.tolist())),
    )


SYMMETRIES = [*object_symmetries(STATE, "cube", cube_group()), *(about_vertical(angle) for angle in (0.3, np.pi / 2))]


@settings(max_examples=10)
@given(states, actions)
def test_mirrored_dynamics_are_the_dynamics_of_the_mirrored(state: np.ndarray, action: np.ndarray) -> None:
    for symmetry in SYMMETRIES:
        mirrored = symmetry.mirror_state(state)
        expected = symmetry.mirror_state(push(state, action))
        assert np.allclose(push(mirrored, symmetry.mirror_action(action)), expected, atol=1e-7)
        assert np.allclose(orthonormal(mirrored[AXES6]), mirrored[AXES6], atol=1e-7)


@settings(max_examples=30)
@given(states, st.integers(0, 22), st.integers(0, 22))
def test_two_relabellings_of_a_cube_are_a_third(state: np.ndarray, one: int, other: int) -> None:
    relabellings = object_symmetries(STATE, "cube", cube_group())
    twice = relabellings[other].mirror_state(relabellings[one].mirror_state(state))
    nearest = min(np.abs(twice - again).max() for again in (state, *(s.mirror_state(state) for s in relabellings)))
    assert nearest < 1e-7


def test_a_cube_has_23_other_names_for_its_axes_and_only_they_change() -> None:
    state = np.array([1.0, 2, 3, *matrix_to_axes(np.eye(3)), 4, 5, 6])
    images = np.array([s.mirror_state(state) for s in object_symmetries(STATE, "cube", cube_group())])
    assert len(np.unique(images.round(6), axis=0)) == 23
    assert (images[:, PLACE] == state[PLACE]).all()
    assert (images[:, SPIN] == state[SPIN]).all()


def test_a_matrix_says_what_indices_and_signs_say() -> None:
    by_index = Symmetry("swap", (1, 0, 2), (1, 0), (1.0, -1.0, 1.0), (-1.0, 1.0), (0.0, 0.0, 0.5))
    by_matrix = Symmetry(
        "swap",
        state_matrix=((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
        action_matrix=((0.0, -1.0), (1.0, 0.0)),
        state_offset=(0.0, 0.0, 0.5),
    )
    state, action = np.arange(6.0).reshape(2, 3), np.arange(4.0).reshape(2, 2)
    assert np.array_equal(by_index.mirror_state(state), by_matrix.mirror_state(state))
    assert np.array_equal(by_index.mirror_action(action), by_matrix.mirror_action(action))


@pytest.mark.parametrize(
    "given", [{"state": (0,), "state_matrix": ((1.0,),)}, {"action_sign": (1.0,), "action_matrix": ((1.0,),)},
              {"state_matrix": ((1.0, 0.0),)}],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(given) -> None:
    with pytest.raises(ValueError, match="symmetry odd"):
        Symmetry("odd", **given)


def test_an_object_without_orientation_has_none_to_relabel() -> None:
    with pytest.raises(KeyError, match="ball"):
        object_symmetries(STATE, "ball", cube_group())


def test_old_symmetries_have_the_digest_they_had() -> None:
    described = Symmetry("swap", (1, 0), (0,)).description()
    assert list(described) == ["name", "state", "action", "state_sign", "action_sign", "state_offset"]


@pytest.mark.parametrize("name", ["valve", "baoding"])
def test_a_mirrored_goal_is_reached_and_lost_alike(name: str) -> None:
    task = contract_for(name, None).task
    rng = np.random.default_rng(0)
    state, action = rng.uniform(-0.1, 0.1, (50, len(task.state))), rng.uniform(-1, 1, (50, len(task.action)))
    state[:, list(task.state.periodic)] *= 30
    goal = rng.uniform(-0.1, 0.1, (50, len(task.goal))) * (30 if name == "valve" else 1)
    assert task.symmetries
    for symmetry in task.symmetries:
        images = symmetry.mirror_state(state), symmetry.mirror_action(action), symmetry.mirror_goal(goal)
        np.testing.assert_allclose(task.reward(*images), task.reward(state, action, goal), atol=1e-9)
        np.testing.assert_array_equal(task.at_risk(images[0]), task.at_risk(state))


def test_an_old_symmetry_says_nothing_of_goals_and_is_described_as_before() -> None:
    old = Symmetry("swap", (1, 0), (0,))
    with pytest.raises(ValueError, match="what becomes of a goal"):
        old.mirror_goal(np.zeros(1))
    assert Symmetry("swap", (1, 0), (0,), goal=(0,)).description() == old.description()
