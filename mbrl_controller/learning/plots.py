# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Learning curves: of one run, and of groups of runs with their range."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from mbrl_controller.base.files import write_atomically
from mbrl_controller.learning.log import LOG_FILE, Row, StepKind, read_rows
from mbrl_controller.learning.shown_figures import ShownFigure
from mbrl_controller.tasks.spaces import Array

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PLOT_FILE = "curve.png"
AXES = {"env_steps": "control steps of experience", "total_s": "wall time, min"}


def evaluations(rows: Sequence[Row]) -> list[Row]:
    """The evaluations, oldest first."""
    return [row for row in rows if row.step is StepKind.EVALUATE]


def draw(path: Path, rows: Sequence[Row], shown: Sequence[ShownFigure], title: str = "") -> None:
    """Write the curve of one run as PNG: the figures shown against experience and against wall time."""
    draw_bands(path, {title: [evaluations(rows)]}, shown)


def draw_bands(path: Path, groups: dict[str, list[list[Row]]], shown: Sequence[ShownFigure]) -> None:
    """Write the curves of several runs by group: the mean of a group's runs, and the band from its worst to its best.

    All shares are in one panel, and each other figure has its own.

    Runs need not have been evaluated at the same steps: values between evaluations are interpolated linearly.
    """
    panels = [("share of evaluation episodes", [figure for figure in shown if figure.share])]
    panels += [(_label(figure), [figure]) for figure in shown if not figure.share]
    size = (11, 3 * len(panels))
    figure, axes = plt.subplots(len(panels), len(AXES), figsize=size, squeeze=False, sharex="col", sharey="row")
    colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    for (label, figures), row_axes in zip(panels, axes, strict=True):
        for (by, by_label), axis in zip(AXES.items(), row_axes, strict=True):
            for g, (group, runs) in enumerate(groups.items()):
                for i, one in enumerate(figures):
                    place = (len(figures) * g + i) % len(colours)
                    caption = " ".join(t for t in (group, one.label if len(figures) > 1 else "") if t)
                    _band(axis, runs, by, one.key, colours[place], caption)
            axis.set(ylabel=label if by == "env_steps" else "")
            axis.grid(alpha=0.3)
            if label == panels[-1][0]:
                axis.set(xlabel=by_label)
    axes[0, 0].set_ylim(-0.03, 1.03)
    if axes[0, 0].get_legend_handles_labels()[0]:
        axes[0, 0].legend(fontsize="small")
    figure.tight_layout()
    picture = io.BytesIO()
    figure.savefig(picture, dpi=90, format="png")
    plt.close(figure)
    write_atomically(path, picture.getvalue())


def _band(axis: plt.Axes, runs: list[list[Row]], by: str, name: str, colour: str, caption: str) -> None:
    series = [_series(run, by, name) for run in runs]
    series = [s for s in series if len(s[0])]
    if not series:
        return
    grid = common_grid([x for x, _ in series])
    values = np.stack([np.interp(grid, x, y) for x, y in series])
    axis.plot(grid, values.mean(0), color=colour, label=caption, marker="." if len(series) == 1 else None)
    if len(series) > 1:
        axis.fill_between(grid, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)


def _label(figure: ShownFigure) -> str:
    statistic = "mean" if figure.key.endswith("_mean") else "median"
    return f"{figure.label}, {statistic}" + (f" ({figure.unit})" if figure.unit else "")


def _series(run: list[Row], by: str, name: str) -> tuple[Array, Array]:
    rows = [row for row in run if name in row.figures()]
    x = np.array([getattr(row, by) for row in rows], dtype=float)
    return (x / 60 if by == "total_s" else x), np.array([row.figures()[name] for row in rows], dtype=float)


def common_grid(places: Sequence[Array]) -> Array:
    """All places at which any run was evaluated, up to where every run has got."""
    low, high = max(p[0] for p in places), min(p[-1] for p in places)
    grid = np.unique(np.concatenate(places))
    inside = grid[(grid >= low) & (grid <= high)]
    return inside if len(inside) else grid


def rows_of(folder: Path) -> list[Row]:
    """The rows of the run in `folder`; raises MbrlError."""
    return read_rows(folder / LOG_FILE)
