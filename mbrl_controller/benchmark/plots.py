# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of `mbrl benchmark planner --part samples`. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def plot_samples(rows: list[dict[str, Any]], path: Path) -> Path:
    """What episodes lose (minus the mean return, with its interval) against candidates a tick: a panel for each task
    and kind of model, a line for each planner."""
    panels = list(dict.fromkeys((row["task"], row["dynamics"]) for row in rows))
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.8), squeeze=False)
    for axis, (task, dynamics) in zip(axes[0], panels, strict=True):
        here = [row for row in rows if (row["task"], row["dynamics"]) == (task, dynamics)]
        # Returns may be positive on some tasks: what counts is the distance to the best that was reached.
        best = max(row["return_mean_ci95"][1] for row in here)
        least = 0.5 * min(best - row["return_mean"] for row in here)  # where a logarithmic axis ends
        for planner in dict.fromkeys(row["planner"] for row in here):
            mine = sorted((row for row in here if row["planner"] == planner), key=lambda row: row["candidates"])
            counts = np.array([row["candidates"] for row in mine])
            loss = best - np.array([row["return_mean"] for row in mine])
            low, high = best - np.array([row["return_mean_ci95"] for row in mine]).T[::-1]
            (line,) = axis.plot(counts, loss, marker=".", label=planner)
            axis.fill_between(counts, np.maximum(low, least), high, alpha=0.12, color=line.get_color())
        axis.set(title=f"{task}, {dynamics} model", xlabel="candidates a tick", xscale="log", yscale="log")
        ticks = sorted({row["candidates"] for row in here})
        axis.set_xticks(ticks, [str(n) for n in ticks], minor=False)
        axis.minorticks_off()
    axes[0][0].set_ylabel("mean return below the best reached")
    axes[0][-1].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path
