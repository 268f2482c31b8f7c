# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The time that is left of a run."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from mbrl_controller.control.task_config import contract_for
from mbrl_controller.learning.eta import eta_seconds
from mbrl_controller.learning.log import Row, StepKind
from mbrl_controller.learning.task_plan import make_plan

ROBOT = contract_for("valve")
SETTINGS = {"through_ros": True, "rounds": 2, "hand": "real"}


def rows(*steps: tuple[StepKind, int, int, float]) -> list[Row]:
    return [
        Row(step=step, round=number, env_steps=env_steps, robot_minutes=1.0, wall_s=wall, total_s=0.0, ended="")
        for step, number, env_steps, wall in steps
    ]


def test_a_real_hands_last_round_collects_too() -> None:
    plan = make_plan("valve", settings=SETTINGS)
    done = rows(
        (StepKind.RANDOM, 0, 1000, 100.0),
        (StepKind.TRAIN, 1, 1000, 10.0),
        (StepKind.COLLECT, 1, 1500, 50.0),
        (StepKind.EVALUATE, 1, 1500, 1.0),
        (StepKind.TRAIN, 2, 1500, 15.0),
        (StepKind.COLLECT, 2, 2000, 50.0),
        (StepKind.EVALUATE, 2, 2000, 1.0),
    )
    left = [eta_seconds(plan, done[: n + 1], ROBOT) for n in range(len(done))]
    assert left[:2] == [None, None]  # nobody knows how long it collects
    assert left[2] == pytest.approx(15 + 50)
    assert left[3] == pytest.approx(15 + 50 + 1)
    assert left[4] == pytest.approx(50 + 1)
    assert left[5] == pytest.approx(1)
    assert left[6] == 0


def test_a_simulated_hands_last_round_is_only_trained_and_evaluated() -> None:
    plan = make_plan("valve", settings={"rounds": 2})
    done = rows(
        (StepKind.RANDOM, 0, 1000, 100.0),
        (StepKind.TRAIN, 1, 1000, 10.0),
        (StepKind.EVALUATE, 1, 1000, 4.0),
        (StepKind.COLLECT, 1, 1500, 50.0),
        (StepKind.TRAIN, 2, 1500, 15.0),
        (StepKind.EVALUATE, 2, 1500, 4.0),
    )
    left = [eta_seconds(plan, done[: n + 1], ROBOT) for n in range(len(done))]
    assert left[3] == pytest.approx(15 + 4)
    assert left[4] == pytest.approx(4)
    assert left[5] == 0
