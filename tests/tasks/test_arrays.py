# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One reward for all array libraries: NumPy's and torch's agree, and torch's gradient is the slope of NumPy's."""

from __future__ import annotations

import sys
from pathlib import Path

import array_api_compat
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.tasks import arrays
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.catalog import TASKS
from mbrl_controller.tasks.orientation import random_orientation

CONFIG = Path(share_dir()) / "config"
CONTRACTS = {
    "baoding": "adroit_baoding.yaml",
    "cube": "adroit_cube.yaml",
    "handwriting": "adroit_handwriting.yaml",
    "reach": "hands/allegro_v5.yaml",
    "valve": "claw_valve.yaml",
}
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "leap_cube"
every_task = pytest.mark.parametrize("name", [*sorted(CONTRACTS), "leap_cube"])


def task_of(name: str) -> Task:
    if name != "leap_cube":
        return load_contract(CONFIG / CONTRACTS[name]).task
    sys.path.insert(0, str(EXAMPLE))
    try:
        from leap_cube.task import LeapCube
    finally:
        sys.path.remove(str(EXAMPLE))
    return LeapCube(tuple(f"j{i}" for i in range(16)))


def situations(task: Task, count: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States [2, count, S], actions [count, A] and goals [count, G] such as a planner meets."""
    rng = np.random.default_rng(seed)
    states = rng.normal(0, 0.3, (2, count, len(task.state)))
    for first in task.state.orientations:
        turned = [random_orientation(rng) for _ in range(2 * count)]
        states[..., first : first + 6] = np.reshape(turned, (2, count, 6))
    goals = np.array([task.sample_goal(rng).at(np.asarray(0.3)) for _ in range(count)])
    return states, rng.uniform(-1, 1, (count, len(task.action))), goals


def test_every_task_that_is_installed_is_asked() -> None:
    assert set(CONTRACTS) == {name for name, offers in TASKS.offers.items() if "mbrl_controller." in offers[0].target}


@every_task
def test_numpy_and_torch_agree(name: str) -> None:
    task = task_of(name)
    given = situations(task)
    tensors = [torch.tensor(values) for values in given]
    np.testing.assert_allclose(task.reward(*tensors).numpy(), task.reward(*given), rtol=1e-9, atol=1e-9)
    for judge in (task.at_risk, task.dropped):
        found = judge(tensors[0])
        assert (found.dtype, tuple(found.shape)) == (torch.bool, given[0].shape[:-1])
        np.testing.assert_array_equal(found.numpy(), judge(given[0]))


@every_task
def test_the_gradient_is_the_slope_where_there_is_one(name: str) -> None:
    """Of the smooth part: along a random direction, where a bonus or a kink lies in between, the slope is another."""
    task = task_of(name)
    states, actions, goals = situations(task, seed=1)
    along = np.random.default_rng(2).normal(size=states.shape)
    tensor = torch.tensor(states, requires_grad=True)
    reward = task.reward(tensor, torch.tensor(actions), torch.tensor(goals))
    (gradient,) = torch.autograd.grad(reward.sum(), tensor)
    found = (gradient.numpy() * along).sum(-1)

    def slope(step: float) -> np.ndarray:
        ahead, behind = (task.reward(states + sign * step * along, actions, goals) for sign in (1, -1))
        return (ahead - behind) / (2 * step)

    near, nearer = slope(1e-6), slope(2e-7)
    smooth = np.abs(near - nearer) < 1e-3 * (1 + np.abs(near))
    assert smooth.mean() > 0.9
    np.testing.assert_allclose(found[smooth], near[smooth], rtol=1e-3, atol=1e-3)
    assert np.abs(found).max() > 0.1


def test_numbers_and_lists_are_numpys() -> None:
    for values in (1.5, [1.0, 2.0], np.float32(1.0), np.zeros(3)):
        assert arrays.namespace(values) is np
    assert arrays.as_array([1, 2]).tolist() == [1, 2]
    tensor = torch.zeros(2)
    assert arrays.as_array(tensor) is tensor
    assert arrays.namespace(tensor) is array_api_compat.array_namespace(tensor)


def test_a_constant_is_of_the_kind_of_the_array_beside_it() -> None:
    assert arrays.constant(np.ones(2), np.zeros(1, np.float32)).dtype == np.float32
    assert arrays.constant([1, 2], torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
    same = np.ones(2, np.float32)
    assert arrays.constant(same, same) is same


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5))
def test_what_was_once_true_stays_true(rows: list[list[bool]]) -> None:
    expected = [[any(row[: i + 1]) for i in range(4)] for row in rows]
    assert arrays.from_then_on(np.array(rows)).tolist() == expected
    assert arrays.from_then_on(torch.tensor(rows)).tolist() == expected
