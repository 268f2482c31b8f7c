# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Estimated time for the rest of a run, from the time of its steps so far."""

from __future__ import annotations

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.log import Row, StepKind


def eta_seconds(plan: LearnPlan, rows: list[Row], robot: RobotContract) -> float | None:
    """Seconds left; None before the first training, and on a real hand before its version has collected.

    Training time grows with the data. A real hand's version is evaluated by what it collects, in the last round, too.
    """
    trained = [row for row in rows if row.step is StepKind.TRAIN]
    if not trained or not trained[-1].env_steps:
        return None
    per_step = trained[-1].wall_s / trained[-1].env_steps
    evaluation, acceptance = _last_wall(rows, StepKind.EVALUATE), _last_wall(rows, StepKind.ACCEPT)
    is_real = plan.hand == "real"
    collected = [row for row in rows if row.step is StepKind.COLLECT] or ([] if is_real else rows[:1])
    if not collected:
        return None
    gain = _gain(rows, collected[-1])
    env_steps, number, left = rows[-1].env_steps, rows[-1].round, 0.0
    step = rows[-1].step

    def collect() -> None:
        nonlocal left, env_steps
        growth = max(1.0, plan.min_data_growth * env_steps / gain)
        left += growth * collected[-1].wall_s
        env_steps += round(growth * gain)

    while is_real:  # train, collect, evaluate
        if step is StepKind.TRAIN:
            collect()
        if step is not StepKind.EVALUATE:
            left += evaluation
        if plan.is_last(number, env_steps, robot):
            return left
        number += 1
        left += per_step * env_steps
        step = StepKind.TRAIN
    while True:
        if step is StepKind.COLLECT:
            number += 1
            left += per_step * env_steps + acceptance
        last = plan.is_last(number, env_steps, robot)
        if step is not StepKind.EVALUATE and (last or number % plan.evaluate_every == 0):
            left += evaluation
        if last:
            return left
        collect()
        step = StepKind.COLLECT


def _last_wall(rows: list[Row], step: StepKind) -> float:
    return next((row.wall_s for row in reversed(rows) if row.step is step), 0.0)


def _gain(rows: list[Row], row: Row) -> int:
    """Control steps that a step added, at least one."""
    at = rows.index(row)
    return max(row.env_steps - (rows[at - 1].env_steps if at else 0), 1)
