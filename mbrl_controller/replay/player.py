# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where on the time line the replay is, and how fast it goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Player:
    """Times in s since the episode's begin; at the end it stops."""

    duration: float
    period: float  # of a step
    time: float = 0.0
    speed: float = 1.0  # times real time
    playing: bool = False

    def advance(self, seconds: float) -> None:
        """So much real time has passed."""
        if self.playing:
            self.seek(self.time + self.speed * seconds)
            self.playing = self.time < self.duration

    def seek(self, time: float) -> None:
        """Go to a time, or as near as there is."""
        self.time = min(max(time, 0.0), self.duration)

    def toggle(self) -> None:
        """Play or pause; at the end, play from the begin."""
        if not self.playing and self.time >= self.duration:
            self.time = 0.0
        self.playing = not self.playing

    def step(self, count: int) -> None:
        """`count` control periods on, or back; it pauses."""
        self.playing = False
        self.seek(self.time + count * self.period)
