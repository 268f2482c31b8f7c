# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Fits physical parameters to windows of a log: robust Gauss-Newton steps within bounds, by mujoco.minimize."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mbrl_controller.simulation.physical_parameters import PhysicalParameter
from mbrl_controller.simulation.robust_search import PseudoHuber, minimise
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.tasks.spaces import Array
from mbrl_controller.training.identify_windows import WindowErrors, Windows

# Width of finite differences in search coordinates, in each pass. Between contact and none an error jumps; wide
# differences see the slope over many such jumps, narrow ones refine it.
PASSES = (0.1, 0.1, 0.1, 0.05, 0.03)
INFLUENCE = 1e-3  # of one step's change: an error that moves less over the whole range says nothing of a parameter
SMALLEST = 0.01  # of one step's change: no entry of the state counts as if it were known better
LEVERAGE = 3.0  # times the median sensitivity of a window: one on the verge of a contact says nothing of the slope


@dataclass(frozen=True)
class Fit:
    """The optimum, and what uncertainty is made of. P parameters, R residuals."""

    parameters: tuple[PhysicalParameter, ...]  # that were fitted
    x: Array  # [P] search coordinates
    jacobian: Array  # [R, P] of the weighted residuals, in search coordinates
    residual: Array  # [R] weighted
    weight: Array  # [R] of each in the robust sum of squares
    cluster: Array  # [R] episode
    without_influence: tuple[PhysicalParameter, ...]
    iterations: int

    @property
    def values(self) -> dict[str, float]:
        """Of the fitted parameters."""
        return {p.name: p.from_search(x) for p, x in zip(self.parameters, self.x.tolist(), strict=True)}


def fit_parameters(
    errors: WindowErrors,
    windows: Windows,
    parameters: Sequence[PhysicalParameter],
    scene: Scene,
    huber: float,
    max_iterations: int,
    on_iteration: Callable[[int, float], None] = lambda number, error: None,
) -> Fit:
    """Fit in passes, of which each weighs anew: entries of the state by how well the last one could predict them, and
    windows by their sensitivity.

    Args:
        errors: simulates.
        windows: of the log.
        parameters: to fit.
        scene: whose nominal values the search begins at.
        huber: width of the robust norm, in robust deviations of an entry.
        max_iterations: of each pass.
        on_iteration: called after each, with its number and the error: root mean square, weighted.
    """
    start = {p.name: p.nominal(scene) for p in parameters}
    search = _Search(errors, windows, tuple(parameters), start)
    moves = search.influence() >= INFLUENCE
    fitted = tuple(p for p, own in zip(parameters, moves, strict=True) if own)
    search = _Search(errors, windows, fitted, start)
    x, total, norm = search.x0(), 0, PseudoHuber(huber)

    def count(value: float) -> None:
        nonlocal total
        total += 1
        on_iteration(total, float(np.sqrt(2 * value / search.size)))

    for width in PASSES if fitted else ():
        search.weigh(x, width)
        slope = partial(search.jacobian, width=width)
        x = minimise(x, search.residuals, slope, search.bounds, norm, max_iterations, count)
    if fitted:
        search.weigh(x, PASSES[-1])
    residual = search.residuals(x[:, None])[:, 0]
    return Fit(
        parameters=fitted,
        x=x,
        jacobian=search.jacobian(x, PASSES[-1]),
        residual=residual,
        weight=norm.weight(residual),
        cluster=np.repeat(windows.episode, residual.size // len(windows)),
        without_influence=tuple(p for p in parameters if p not in fitted),
        iterations=total,
    )


class _Search:
    """Weighted residuals in the coordinates of some parameters."""

    def __init__(
        self, errors: WindowErrors, windows: Windows, parameters: tuple[PhysicalParameter, ...], start: dict[str, float]
    ) -> None:
        self._errors, self._windows, self._parameters, self._start = errors, windows, parameters, start
        self.size = windows.measured.size
        self.bounds = np.array([p.ends for p in parameters]).T.reshape(2, len(parameters))
        self._weights = np.ones((len(windows), 1, len(errors.layout)))

    def x0(self) -> Array:
        """Where the search begins."""
        return np.array([p.to_search(self._start[p.name]) for p in self._parameters])

    def influence(self) -> Array:
        """[P] root mean square change of the errors over a parameter's range, from the slope where it begins."""
        slope = np.sqrt(np.mean(np.square(self.jacobian(self.x0(), PASSES[0])), axis=0))
        return np.asarray(slope * (self.bounds[1] - self.bounds[0]))

    def weigh(self, x: Array, width: float) -> None:
        """Weigh entries by the robust deviation of their errors at `x` [P], and windows by their sensitivity there."""
        count = len(self._windows)
        left = np.abs(self._errors_at(x[:, None])[0])
        entries = 1.0 / np.maximum(1.4826 * np.median(left, axis=(0, 1)), SMALLEST)
        self._weights = np.broadcast_to(entries, (count, 1, len(entries)))
        slope = self.jacobian(x, width).reshape(count, -1, len(x))
        slope = np.sqrt(np.sum(np.square(slope), axis=1))  # [W, P]
        usual = np.array([np.median(own[own > 1e-6 * own.max()]) if own.any() else 1.0 for own in slope.T])
        sensitivity = np.max(slope / usual, axis=1)
        self._weights = self._weights * np.minimum(1.0, LEVERAGE / np.maximum(sensitivity, 1e-9))[:, None, None]

    def residuals(self, columns: Array) -> Array:
        """[R, C] at search coordinates [P, C]."""
        found = self._errors_at(columns) * self._weights
        return np.ascontiguousarray(found.reshape(len(found), -1).T)

    def jacobian(self, x: Array, width: float) -> Array:
        """[R, P] by central differences; at a bound by one-sided ones."""
        low, high = (np.clip(x[:, None] + step * np.eye(len(x)), *self.bounds[:, :, None]) for step in (-width, width))
        found = self.residuals(np.concatenate([low, high], axis=1)) if len(x) else np.zeros((self.size, 0))
        return np.asarray((found[:, len(x) :] - found[:, : len(x)]) / (high - low).diagonal())

    def _errors_at(self, columns: Array) -> Array:
        """[C, W, H, S] at search coordinates [P, C]."""
        own = [
            {p.name: p.from_search(x) for p, x in zip(self._parameters, column, strict=True)}
            for column in columns.T.tolist()
        ]
        return self._errors.of(self._windows, own)
