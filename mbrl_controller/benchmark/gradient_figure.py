# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of `mbrl study gradients`. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def plot_gradients(figures: dict[str, Any], path: Path) -> Path:
    """Agreement against the horizon, a line for each version; and of each way to estimate a direction."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), sharey=True)
    for version in dict.fromkeys(row["version"] for row in figures["agreement"]):
        mine = [row for row in figures["agreement"] if row["version"] == version]
        horizons = [row["horizon"] for row in mine]
        low, high = np.array([row["cosine_ci95"] for row in mine]).T
        (line,) = left.plot(horizons, [row["cosine"] for row in mine], marker=".", label=version)
        left.fill_between(horizons, low, high, alpha=0.12, color=line.get_color())
    left.set(title=f"{figures['task']}, {figures['states']} states", xlabel="horizon (control steps)")
    left.set_ylabel("cosine to the simulator's gradient")
    left.legend(fontsize="small")
    versions = list(dict.fromkeys(row["version"] for row in figures["estimates"]))
    names = list(dict.fromkeys(row["estimate"] for row in figures["estimates"]))
    for i, version in enumerate(versions):
        by_name = {row["estimate"]: row for row in figures["estimates"] if row["version"] == version}
        at = [names.index(name) + 0.8 * (i + 0.5) / len(versions) - 0.4 for name in by_name]
        means = np.array([row["cosine"] for row in by_name.values()])
        low, high = np.array([row["cosine_ci95"] for row in by_name.values()]).T
        right.errorbar(at, means, yerr=[means - low, high - means], fmt=".", capsize=2, label=version)
    right.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names], fontsize="small")
    right.set_title(f"{figures['samples']} model samples each")
    for axis in (left, right):
        axis.axhline(0.0, color="grey", linewidth=0.6)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path
