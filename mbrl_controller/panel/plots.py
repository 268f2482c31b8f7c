# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Plots of the last ticks, one set for all browsers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.panel.live import SHOWN_S, Live
from mbrl_controller.tasks.spaces import Array

HEIGHT, JOINT_HEIGHT = 104, 84  # pixels
MEASURED, ASKED, LIMIT = "#2563eb", "#f59e0b", "#dc2626"
MS = 1e3
JOINTS_EVERY = 2  # of the updates: there are many of them


class _Plot:
    """One chart over time before the newest tick (s)."""

    def __init__(self, gui: Any, title: str, series: dict[str, str], height: int) -> None:
        empty = np.array([-SHOWN_S, 0.0])
        self._handle = gui.add_uplot(
            data=(empty, *(np.full(2, np.nan) for _ in series)),
            series=(
                {"label": "s"},
                *({"label": label, "stroke": color, "width": 1.5, "points": {"show": False}}
                  for label, color in series.items()),
            ),
            title=title,
            scales={"x": {"time": False, "auto": False, "range": [-SHOWN_S, 0.0]}},
            axes=(
                {"size": 26, "font": "10px system-ui", "space": 60},
                {"size": 46, "font": "10px system-ui", "space": 22},
            ),
            legend={"show": False},
            cursor={"show": False},
            height=height,
            padding=(2, 12, 2, 0),
        )  # fmt: skip

    def show(self, *columns: Array) -> None:
        """Time (s) and the series, oldest first."""
        self._handle.data = tuple(map(filled, columns))


class Plots:
    """Reward, return, timing and disagreement; for each joint its command and position."""

    def __init__(self, gui: Any, live: Live) -> None:
        """`gui`: the tabs are added to a panel of this viser GUI."""
        self._live, self._shown, self._updates = live, -1, 0
        panel = gui.add_panel()
        with panel.add_tab("Signals"):
            self._reward = _Plot(gui, "reward", {"reward": MEASURED}, HEIGHT)
            self._return = _Plot(gui, "return in the episode", {"return": MEASURED}, HEIGHT)
            self._execution = _Plot(
                gui,
                "execution (blue), plan (amber), period (red), ms",
                {"execution": MEASURED, "plan": ASKED, "period": LIMIT},
                HEIGHT,
            )
            self._lateness = _Plot(gui, "lateness, ms", {"lateness": MEASURED}, HEIGHT)
            self._disagreement = _Plot(
                gui, "disagreement (blue), limit (red)", {"disagreement": MEASURED, "limit": LIMIT}, HEIGHT
            )
        with panel.add_tab("Joints"):
            gui.add_html(
                f'<div style="font:12px system-ui;padding:2px 4px"><b style="color:{ASKED}">command</b> and '
                f'<b style="color:{MEASURED}">position</b>, rad</div>'
            )
            self._joints = {
                name: _Plot(gui, name, {"command": ASKED, "position": MEASURED}, JOINT_HEIGHT)
                for name in live.contract.action.names
            }
        self.panel = panel

    def update(self, disagreement_limit: float) -> None:
        """Show what came since the last call; nothing is sent where nothing did."""
        live = self._live
        with live.lock:
            if live.ticks.count == self._shown or not len(live.ticks):
                return
            self._shown = live.ticks.count
            found = {name: live.ticks.column(name) for name in ("stamp", "reward", "return", "plan_duration",
                     "previous_execution", "lateness", "disagreement")}  # fmt: skip
            self._updates += 1
            joints = (
                {}
                if self._updates % JOINTS_EVERY
                else {
                    name: (live.joints.column(f"command {name}"), live.joints.column(f"position {name}"))
                    for name in self._joints
                }
            )
        time = found["stamp"] - found["stamp"][-1]
        everywhere = np.ones_like(time)
        self._reward.show(time, found["reward"])
        self._return.show(time, found["return"])
        period = MS * live.contract.action.period * everywhere
        self._execution.show(time, MS * found["previous_execution"], MS * found["plan_duration"], period)
        self._lateness.show(time, MS * found["lateness"])
        limit = disagreement_limit * everywhere if np.isfinite(disagreement_limit) else found["disagreement"]
        self._disagreement.show(time, found["disagreement"], limit)
        for name, columns in joints.items():
            self._joints[name].show(time, *columns)


def filled(column: Array) -> Array:
    """With the value before in the place of each NaN: one of them, and uPlot draws nothing of the whole chart."""
    finite = np.isfinite(column)
    if finite.all():
        return column
    if not finite.any():
        return np.zeros_like(column)
    newest = np.maximum.accumulate(np.where(finite, np.arange(len(column)), -1))
    return np.asarray(column[np.where(newest < 0, finite.argmax(), newest)])
