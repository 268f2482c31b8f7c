# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a format to export to implements, and what is told of an export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mbrl_controller.episodes.bridging import Bridge
from mbrl_controller.episodes.segments import Segment


@dataclass(frozen=True)
class ExportOptions:
    """How segments are written."""

    instruction: str = ""  # the task in words, for LeRobot's policies that read them; empty: its name
    bridge: Bridge | None = None  # fills gaps of the sensors; None: segments end there
    goals: bool = True  # with goals and rewards, so that segments without goals are left out where a format needs them


class SegmentWriter(ABC):
    """Writes segments of one robot and task into a folder, which exists and is empty."""

    needs_goals = True  # of every segment, unless it is done without

    @abstractmethod
    def add(self, segment: Segment) -> None:
        """Append a segment."""

    @abstractmethod
    def close(self, report: ExportReport) -> list[str]:
        """Finish all files; returns what a user should know of them."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of all files, which are removed."""


@dataclass
class ExportReport:
    """What was exported, and what was not."""

    folder: Path
    files: int = 0  # that gave segments
    segments: int = 0
    frames: int = 0  # control periods
    bridged: int = 0  # states in them that were not measured but filled in
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> commands without a frame
    unused: dict[str, str] = field(default_factory=dict)  # file -> reason
    notes: list[str] = field(default_factory=list)
