# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import numpy as np
import pytest

from mbrl_controller.base.overrides import parse_options
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.tasks.goal_options import GoalOption

CONTRACTS = ("adroit_baoding", "adroit_cube", "adroit_handwriting", "claw_valve")


@pytest.mark.parametrize("name", CONTRACTS)
def test_what_a_task_says_of_its_options_it_takes(name: str) -> None:
    task = load_contract(share_dir() / "config" / f"{name}.yaml").task
    assert task.goal_options
    for option in task.goal_options:
        middle = [] if option.choices else [0.5 * (option.lower + option.upper) or 0.1]
        for value in option.choices or (option.lower + 1e-3, *middle, option.upper):
            given = parse_options("goal", f"{option.name}={value}")
            if option.name == "digit":
                given["path"] = "digit"
            assert np.isfinite(task.sample_goal(np.random.default_rng(0), **given).at(np.array(0.0))).all()


def test_a_range_has_two_ends() -> None:
    assert math.isinf(GoalOption("angle", "").upper)
    with pytest.raises(ValueError, match="angle"):
        GoalOption("angle", "", "rad", 1.0, 1.0)
