# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Charts over a whole episode, with a dot where the replay is."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.replay.moments import limit_of
from mbrl_controller.replay.recording import Recording
from mbrl_controller.tasks.spaces import Array

HEIGHT = 110  # pixels
BLUE, AMBER, RED, DARK = "#2563eb", "#f59e0b", "#dc2626", "#111827"


class _Chart:
    """Series over time (s); the last one is the dot."""

    def __init__(self, gui: Any, title: str, colors: tuple[str, ...]) -> None:
        lines = tuple(
            {"label": f"{i}", "stroke": color, "width": 1.5, "points": {"show": False}}
            for i, color in enumerate(colors)
        )
        dot = {"label": "now", "stroke": DARK, "points": {"show": True, "size": 7, "fill": DARK}}
        empty = np.array([0.0, 1.0])
        self._handle = gui.add_uplot(
            data=(empty, *(np.full(2, np.nan) for _ in (*lines, dot))),
            series=({"label": "s"}, *lines, dot),
            title=title,
            scales={"x": {"time": False}},
            axes=({"size": 26}, {"size": 46}),
            legend={"show": False},
            height=HEIGHT,
        )
        self._columns: tuple[Array, ...] = (empty, empty)
        self._at = -1

    def draw(self, times: Array, *series: Array) -> None:
        """Series [n] at times [n]; of fewer than two rows nothing is seen."""
        enough = len(times) > 1
        blank = np.full(2, np.nan)
        self._columns = (times, *series) if enough else (np.array([0.0, 1.0]), *(blank for _ in series))
        # uPlot's own range knows no NaN, of which the dot's series is full.
        known = np.concatenate([column[np.isfinite(column)] for column in self._columns[1:]])
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        margin = 0.05 * (high - low) or 0.5
        axis = {"auto": False, "range": [low - margin, high + margin]}
        self._handle.scales = {"x": {"time": False}, "y": axis}
        self._at = -1
        self.mark(0.0)

    def mark(self, time: float) -> None:
        """Put the dot on the first series."""
        at = max(int(np.searchsorted(self._columns[0], time + 1e-6, side="right")) - 1, 0)
        if at != self._at:
            self._at = at
            dot = np.full(len(self._columns[0]), np.nan)
            dot[at] = self._columns[1][at]
            self._handle.data = (*self._columns, dot)


class Charts:
    """Reward, disagreement with its limit, and one joint: measured and commanded."""

    def __init__(self, gui: Any) -> None:
        self.reward = _Chart(gui, "reward", (BLUE,))
        self.disagreement = _Chart(gui, "disagreement (blue), limit (red)", (BLUE, RED))
        self.joint = _Chart(gui, "joint, rad: measured (blue), command (amber)", (BLUE, AMBER))

    def draw(self, recording: Recording, joint: str) -> None:
        """An episode's curves; `joint`: of the contract."""
        times, ticks = recording.tick_times, recording.ticks
        shown = (times >= 0) & (times <= recording.duration)
        limit = limit_of(recording)
        nothing = np.full(len(times), np.nan)
        disagreement = ticks.get("disagreement", nothing)[shown]
        self.reward.draw(times[shown], ticks.get("reward", nothing)[shown])
        line = np.full(len(disagreement), np.nan if limit is None else limit)
        self.disagreement.draw(times[shown], disagreement, line)
        self.draw_joint(recording, joint)

    def draw_joint(self, recording: Recording, joint: str) -> None:
        """Another joint's curves."""
        commands, names = recording.commands, list(recording.contract.task.state.names)
        entry = f"{joint}.position"
        measured = np.full(len(commands), np.nan)
        if entry in names:
            measured = recording.states_at(commands)[:, names.index(entry)]
        own = recording.command_values[:, recording.contract.action.names.index(joint)]
        self.joint.draw(commands, measured, own)

    def mark(self, time: float) -> None:
        """The replay is at `time` (s)."""
        for chart in (self.reward, self.disagreement, self.joint):
            chart.mark(time)
