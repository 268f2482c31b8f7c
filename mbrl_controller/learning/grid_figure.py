# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of a grid: each arm with its interval and its runs, and its paired difference from the first."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from mbrl_controller.base.files import write_atomically

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLOURS = {"holds": "tab:green", "does not": "tab:red", "cannot be told": "tab:gray", "": "tab:blue"}


def draw(path: Path, found: Mapping[str, Any]) -> None:
    """Write the record `found` as PNG."""
    arms, metric = found["arms"], found["evaluate"]["metric"]
    places = np.arange(len(arms))[::-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 1.6 + 0.45 * len(arms)), sharey=True)
    for place, row in zip(places, arms, strict=True):
        mean = row["figures"].get(metric)
        if mean is not None:
            _interval(left, place, mean, "tab:blue")
            runs = [np.mean(values) for values in found["values"][row["arm"]].values() if values]
            left.plot(runs, [place - 0.2] * len(runs), ".", color="tab:blue", alpha=0.5)
        if row["difference"] is not None:
            _interval(right, place, row["difference"], COLOURS[row["verdict"]])
    baseline = found["hold"]["figures"].get(metric)
    if baseline is not None:
        left.axvline(baseline["mean"], color="black", linestyle=":", label="do nothing")
        left.legend(fontsize="small")
    margin = found["evaluate"]["margin"]
    right.axvline(0.0, color="black", linewidth=0.8)
    if margin:
        right.axvspan(-margin, margin, color="black", alpha=0.08)
    unit = f" ({found['unit']})" if found["unit"] else ""
    way = "more is better" if found["better"] == "up" else "less is better"
    left.set(yticks=places, yticklabels=[row["arm"] for row in arms], xlabel=f"{metric}{unit}, {way}")
    right.set(xlabel=f"difference from {arms[0]['arm']}{unit}", ylim=(-0.6, len(arms) - 0.4))
    for axis in (left, right):
        axis.grid(alpha=0.3, axis="x")
    n = f"{arms[0]['runs']} runs x {arms[0]['episodes']} episodes, 95 % intervals"
    figure.suptitle(f"{found['task']}: {found['claim'] or 'ablation'} ({n})", fontsize="small", wrap=True)
    figure.tight_layout()
    write_figure(path, figure)


def write_figure(path: Path, figure: plt.Figure) -> None:
    """Write a figure as PNG, in one step, and close it."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=90, format="png")
    plt.close(figure)
    write_atomically(path, picture.getvalue())


def _interval(axis: plt.Axes, place: float, estimate: Mapping[str, Any], colour: str) -> None:
    bounds: Sequence[float] = estimate["ci95"]
    axis.plot([estimate["mean"]], [place], "o", color=colour)
    if all(math.isfinite(bound) for bound in bounds):
        axis.plot(bounds, [place, place], "-", color=colour)
