# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of a sweep: values trial by trial, and against each option."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from mbrl_controller.learning.grid_figure import write_figure

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw(path: Path, found: Mapping[str, Any]) -> None:
    """Write the record `found` of a sweep as PNG."""
    rows = [row for row in found["trials"] if row["value"] is not None]
    values = np.array([row["value"] for row in rows], dtype=float)
    best = np.maximum.accumulate(values) if found["better"] == "up" else np.minimum.accumulate(values)
    names = list(found["search"])
    figure, axes = plt.subplots(1, 1 + len(names), figsize=(3.4 * (1 + len(names)), 3.4), sharey=True, squeeze=False)
    numbers = [row["trial"] for row in rows]
    axes[0, 0].plot(numbers, values, ".", color="tab:blue")
    axes[0, 0].step(numbers, best, where="post", color="tab:green", label="best so far")
    unit = f" ({found['unit']})" if found["unit"] else ""
    axes[0, 0].set(xlabel="trial", ylabel=f"{found['evaluate']['metric']}{unit}")
    axes[0, 0].legend(fontsize="small")
    for axis, name in zip(axes[0, 1:], names, strict=True):
        entry = found["search"][name]
        if "values" in entry:
            labels = [json.dumps(value) for value in entry["values"]]
            axis.plot([labels.index(json.dumps(row[name])) for row in rows], values, ".", color="tab:blue")
            axis.set_xticks(range(len(labels)), labels, fontsize="small")
        else:
            axis.plot([row[name] for row in rows], values, ".", color="tab:blue")
            axis.set_xscale("log" if entry["log"] else "linear")
        axis.set(xlabel=name)
    for axis in axes[0]:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    write_figure(path, figure)
