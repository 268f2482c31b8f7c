# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How long the rest of a run may take, from what its steps took so far."""

from __future__ import annotations

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.log import Row


def time_left(plan: LearnPlan, rows: list[Row], robot: RobotContract) -> float | None:
    """Seconds; None before the first training. Training grows with the data, the other steps stay as they were."""
    trained = [row for row in rows if row.step == "train"]
    if not trained or not trained[-1].points:
        return None
    per_point = trained[-1].wall_s / trained[-1].points
    evaluation, acceptance = _last_wall(rows, "evaluate"), _last_wall(rows, "accept")
    collected = [row for row in rows if row.step == "collect"] or rows[:1]
    gain = _gain(rows, collected[-1])
    points, number, left = rows[-1].points, rows[-1].round, 0.0
    step = rows[-1].step
    while True:
        if step == "collect":
            number += 1
            left += per_point * points + acceptance
        last = plan.is_last(number, points, robot)
        if step != "evaluate" and (last or number % plan.evaluate_every == 0):
            left += evaluation
        if last:
            return left
        growth = max(1.0, plan.grow * points / gain)
        left += growth * collected[-1].wall_s
        points += round(growth * gain)
        step = "collect"


def _last_wall(rows: list[Row], step: str) -> float:
    return next((row.wall_s for row in reversed(rows) if row.step == step), 0.0)


def _gain(rows: list[Row], row: Row) -> int:
    """Points that a step added, at least one."""
    at = rows.index(row)
    return max(row.points - (rows[at - 1].points if at else 0), 1)
