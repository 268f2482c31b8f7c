# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Robust nonlinear least squares within bounds, by MuJoCo's own solver."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mujoco import minimize

from mbrl_controller.tasks.spaces import Array


class PseudoHuber(minimize.Norm):  # type: ignore[misc]
    """Squares near zero, and grows linearly beyond `width`: a window in which a contact was missed does not rule.

    With Gauss-Newton's Hessian, each residual has the weight of iteratively reweighted least squares.
    """

    def __init__(self, width: float) -> None:
        self.width = width

    def weight(self, r: Array) -> Array:
        """psi(r) / r."""
        return np.asarray(1.0 / np.sqrt(1.0 + np.square(r / self.width)))

    def value(self, r: Array) -> float:
        """See Norm."""
        return float(self.width**2 * np.sum(np.sqrt(1.0 + np.square(r / self.width)) - 1.0))

    def grad_hess(self, r: Array, proj: Array) -> tuple[Array, Array]:
        """See Norm."""
        w = self.weight(r)
        return proj.T @ (w * r), proj.T @ (w * proj)


def minimise(
    x: Array,
    residuals: Callable[[Array], Array],
    jacobian: Callable[[Array], Array],
    bounds: Array,
    norm: PseudoHuber,
    max_iterations: int,
    on_iteration: Callable[[float], None],
) -> Array:
    """Gauss-Newton steps, regularised where one does not lower the norm; the optimum [P].

    Args:
        x: where to begin [P].
        residuals: of points [P, C], as [R, C].
        jacobian: of a point [P], as [R, P].
        bounds: lower and upper [2, P].
        norm: of the residuals.
        max_iterations: of steps.
        on_iteration: called after each with the norm.
    """
    found, _ = minimize.least_squares(
        x,
        residuals,
        bounds=list(bounds),
        jacobian=lambda at, residual: jacobian(np.ravel(at)),
        norm=norm,
        mu_min=1e-3,
        mu_factor=10**0.5,
        xtol=1e-4,
        gtol=1e-6,
        max_iter=max_iterations,
        verbose=minimize.Verbosity.SILENT,
        iter_callback=lambda trace: on_iteration(float(trace[-1].objective)),
        x_scale="jac",
    )
    return np.asarray(found, dtype=float)
