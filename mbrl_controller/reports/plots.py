# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The pictures of a report, as SVG that stands in the page itself. Needs matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np

from mbrl_controller.reports.figures import JointUse, finite, specs
from mbrl_controller.reports.html import FORBIDDEN, Html
from mbrl_controller.reports.session import EpisodeDigest, Session
from mbrl_controller.tasks.spaces import Array

matplotlib.use("Agg")
from matplotlib import pyplot as plt

MAX_POINTS = 4000  # drawn of a long series


def plot_metrics(session: Session, episodes: Sequence[EpisodeDigest]) -> Html:
    """Return and drawn metrics over episodes, a colour for each version; levels are dashed."""
    assert session.contract is not None
    drawn = [metric for metric in specs(episodes, session.contract) if metric.drawn][:3]
    figure, panels = plt.subplots(1, 1 + len(drawn), figsize=(3.6 * (1 + len(drawn)), 2.8), squeeze=False)
    versions = list(dict.fromkeys(e.version for e in episodes if e.metrics is not None))
    for panel, metric in zip(panels[0], [None, *drawn], strict=True):
        for colour, version in enumerate(versions):
            rows = [(i, e.metrics) for i, e in enumerate(episodes) if e.metrics is not None and e.version == version]
            values = [m.episode_return if metric is None else m.values.get(metric.name, np.nan) for _, m in rows]
            panel.plot([i for i, _ in rows], values, ".", color=f"C{colour % 10}", label=_plain(version))
        title = "return" if metric is None else metric.label + (f" ({metric.unit})" if metric.unit else "")
        panel.set_title(_plain(title))
        panel.set_xlabel("episode")
        for level in metric.levels if metric is not None else ():
            panel.axhline(level, color="0.5", ls="--", lw=0.8)
    if len(versions) > 1:
        panels[0][0].legend()
    return _svg(figure)


def plot_timing(ticks: Mapping[str, Array], period: float) -> Html:
    """Histograms of lateness, execution and plan against the control period (s)."""
    names = {"lateness": "lateness", "previous_execution": "execution", "plan_duration": "plan"}
    found = {what: 1e3 * finite(ticks.get(label)) for label, what in names.items()}
    figure, panel = plt.subplots(figsize=(7.2, 2.8))
    for what, values in found.items():
        if len(values):
            panel.hist(np.minimum(values, 2e3 * period), bins=80, histtype="step", label=what)
    panel.axvline(1e3 * period, color="0.3", ls="--", lw=0.8, label="control period")
    panel.set_yscale("log")
    panel.set_xlabel("ms; what is beyond two periods is at the right edge")
    panel.set_ylabel("ticks")
    panel.legend()
    return _svg(figure)


def plot_disagreement(ticks: Mapping[str, Array], limit: float | None) -> Html:
    """Disagreement tick by tick, the largest of each stretch where there are many, and its limit."""
    values = ticks["disagreement"]
    at, most = thinned(values)
    figure, panel = plt.subplots(figsize=(7.2, 2.6))
    panel.plot(at, most, lw=0.7)
    if limit is not None:
        panel.axhline(limit, color="C3", ls="--", lw=0.9, label="limit")
        panel.legend()
    panel.set_xlabel("tick")
    panel.set_ylabel("disagreement")
    return _svg(figure)


def thinned(values: Array) -> tuple[Array, Array]:
    """Positions and values of at most MAX_POINTS points: the largest of each stretch, so that no peak is lost."""
    if len(values) <= MAX_POINTS:
        return np.arange(len(values), dtype=float), values
    parts = np.array_split(values, MAX_POINTS)
    begins = np.cumsum([0, *(len(part) for part in parts[:-1])])
    return begins.astype(float), np.array([part[np.isfinite(part)].max(initial=-np.inf) for part in parts])


def plot_joints(uses: Sequence[JointUse]) -> Html:
    """Where each joint was commanded to between its limits: all of it thin, the middle 90 % thick, and the median."""
    figure, panel = plt.subplots(figsize=(7.2, 0.6 + 0.24 * len(uses)))
    for row, use in enumerate(uses):
        span = use.upper - use.lower
        least, low, middle, high, most = ((value - use.lower) / span for value in use.commanded)
        panel.plot([least, most], [row, row], color="C0", lw=1)
        panel.plot([low, high], [row, row], color="C0", lw=4, solid_capstyle="butt")
        panel.plot([middle], [row], "|", color="k")
    for edge in (0, 1):
        panel.axvline(edge, color="C3", ls="--", lw=0.9)
    panel.set_yticks(range(len(uses)), [_plain(use.name) for use in uses])
    panel.invert_yaxis()
    panel.set_xlabel("0: lower limit, 1: upper limit")
    return _svg(figure)


def _plain(label: str) -> str:
    """A label that matplotlib takes for text: no formula, no legend entry to be hidden."""
    return FORBIDDEN.sub("\ufffd", label).replace("$", r"\$").lstrip("_") or " "


def _svg(figure: Any) -> Html:
    """The figure as an <svg> element; the same figure gives the same bytes."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure.tight_layout()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return Html(re.sub(r"\A.*?(?=<svg)", "", out.getvalue(), flags=re.DOTALL))
