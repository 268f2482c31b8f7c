# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The base of planners that draw candidates around a mean: noise with a width per joint, smooth over the horizon."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from mbrl_controller.base.units import NO_UNIT, Count, Number, Unit
from mbrl_controller.planning.noise import Smoothing, noise_basis, standard_normal
from mbrl_controller.planning.sampling import SamplingConfig, SamplingPlanner
from mbrl_controller.tasks.spaces import Array


class GaussianConfig(SamplingConfig):
    """Options of the noise."""

    sigma: Number = Field(
        default=0.9, gt=0, le=100, description="standard deviation of the noise, for actions from -1 to 1"
    )
    joint_scale: tuple[Annotated[float, Unit(NO_UNIT), Field(ge=0, le=100)], ...] = Field(
        default=(), description="factor on sigma for each joint; empty: all 1"
    )
    noise: Smoothing = Field(default="filtered", description="smoothness of the noise over the horizon")
    beta: Number = Field(
        default=0.6, gt=0, le=1, description="filter coefficient of the noise: 1 is white, small is smooth"
    )
    colour: Number = Field(
        default=2.0, ge=0, le=8, description="exponent of coloured noise: power falls with frequency^colour"
    )
    knots: Count = Field(default=4, ge=1, le=200, description="random values over the horizon, for knots noise")


class GaussianPlanner(SamplingPlanner):
    """Draws the mean plus noise."""

    config: GaussianConfig

    def __init__(self, action_size: int, config: GaussianConfig) -> None:
        super().__init__(action_size, config)
        if config.joint_scale and len(config.joint_scale) != action_size:
            raise ValueError(f"joint_scale has {len(config.joint_scale)} entries, the hand {action_size} joints")
        basis = noise_basis(config.noise, config.horizon, beta=config.beta, colour=config.colour, knots=config.knots)
        scale = np.array(config.joint_scale or (1.0,) * action_size)
        self._width = config.sigma * scale  # [A] standard deviation of the noise
        # Sigma is in the basis, and joints are scaled only if they differ: saves a pass over all candidates.
        self._basis = (config.sigma * basis).astype(np.float32)
        self._joint_scale = scale.astype(np.float32) if config.joint_scale else None
        standard_normal(np.random.default_rng(0), (1,))  # builds its table now, not in the first tick

    def _noise(self, rng: np.random.Generator, count: int) -> Array:
        """Smooth noise [H, count, A] of the configured width (less where a filter narrows it), float32."""
        white = standard_normal(rng, (self._basis.shape[1], count * self.action_size))
        # einsum, not matmul: matmul wakes BLAS threads, which wait for each other on a busy machine.
        noise: Array = np.einsum("hk,kn->hn", self._basis, white).reshape(-1, count, self.action_size)
        if self._joint_scale is not None:
            noise *= self._joint_scale
        return noise
