# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Gradient ascent on action sequences: Adam (Kingma, Ba: "Adam: A Method for Stochastic Optimization", ICLR 2015),
within the actions' bounds and the time there is; the best that was met is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from mbrl_controller.base.units import Number
from mbrl_controller.planning.base import PlannerConfig
from mbrl_controller.planning.gradients import gradients_of
from mbrl_controller.planning.proposals import Candidates, Objective
from mbrl_controller.planning.throughput import ThroughputEstimator
from mbrl_controller.tasks.spaces import Array

TINY = 1e-8  # of the gradient's size below which Adam's steps shrink


class AdamConfig(PlannerConfig):
    """Options of the ascent."""

    step_size: Number = Field(
        default=0.1, gt=0, le=2, description="largest step of an action in the first gradient step, for actions -1 to 1"
    )
    adam_beta1: Number = Field(default=0.8, ge=0, lt=1, description="weight of the earlier gradients in the direction")
    adam_beta2: Number = Field(default=0.95, ge=0, lt=1, description="weight of the earlier gradients in the size")


@dataclass
class Ascent:
    """The candidates as they climb, and the best that each of them was."""

    best: Candidates  # [N, H, A]
    returns: Array  # [N], -inf: never finite
    evaluated: int = 0  # candidates, each with its gradient
    steps: int = 0


def ascend(
    objective: Objective,
    starts: Array,
    config: AdamConfig,
    steps: int,
    deadline: float | None,
    pace: ThroughputEstimator,
    clock: Callable[[], float] = time.monotonic,
) -> Ascent:
    """Climb from `starts` [N, H, A] in [-1, 1].

    Returns are those of the objective itself, drops included; the cost of a drop is a step and so has no gradient. A
    candidate that climbs into one has a bad return and is not kept.

    Args:
        objective: with gradients.
        starts: where to begin.
        config: of the optimiser.
        steps: at most; the starts are evaluated besides.
        deadline: s, as `clock` tells it; None: none. The starts are evaluated in any case.
        pace: of former calls.
        clock: s.
    """
    now = np.clip(np.asarray(starts, dtype=np.float32), -1.0, 1.0)
    found = Ascent(now.copy(), np.full(len(now), -np.inf))
    direction, size = np.zeros(now.shape), np.zeros(now.shape)
    for step in range(steps + 1):
        began = clock()
        if step and deadline is not None and began + pace.seconds(len(now)) > deadline:
            break
        returns, gradients = gradients_of(objective, now)
        pace.add(len(now), clock() - began)
        better = returns > found.returns
        found.best[better], found.returns[better] = now[better], returns[better]
        found.evaluated += len(now)
        found.steps = step
        direction = config.adam_beta1 * direction + (1 - config.adam_beta1) * gradients
        size = config.adam_beta2 * size + (1 - config.adam_beta2) * gradients**2
        ahead = direction / (1 - config.adam_beta1 ** (step + 1))
        scale = np.sqrt(size / (1 - config.adam_beta2 ** (step + 1))) + TINY
        now = np.clip(now + config.step_size * ahead / scale, -1.0, 1.0).astype(np.float32)
    return found
