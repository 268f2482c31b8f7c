# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is told in words and numbers beside the picture."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mbrl_controller.replay.outlook import Outlook
from mbrl_controller.replay.recording import Recording
from mbrl_controller.reports.session import STATES
from mbrl_controller.tasks.spaces import Array

AT_LIMIT = 0.01  # of a joint's range: so near a limit counts as at it
SOURCES = ("none", "safe", "previous plan", "plan", "policy")  # of a tick's `source`
SHOWN = {  # labels of a tick -> unit and factor
    "reward": ("", 1.0),
    "predicted_return": ("", 1.0),
    "disagreement": ("", 1.0),
    "plan_duration": ("ms", 1e3),
    "lateness": ("ms", 1e3),
    "previous_execution": ("ms", 1e3),
}


def of_episode(recording: Recording) -> list[tuple[str, str]]:
    """Whose episode it is and how it ended."""
    info = recording.info
    who = info.model_version or "no model"
    found = [
        ("episode", f"{info.robot}, {info.task}, {info.session}/{info.episode}"),
        ("commanded by", "others" if info.commanded_by == "others" else f"the controller ({who})"),
        ("length", f"{recording.duration:.2f} s, {len(recording.commands)} commands"),
        ("ended", recording.end_reason or "not told"),
    ]
    if not recording.episode.complete:
        found.append(("incomplete", recording.episode.problem))
    if not recording.plans:
        found.append(("plans", "none were logged"))
    return found


def of_moment(recording: Recording, time: float, outlook: Outlook | None) -> list[tuple[str, str]]:
    """The tick at `time` (s), and its plan against what then happened."""
    tick = recording.tick_at(time)
    found = [("time", f"{time:.2f} s")]
    found += [(what, text) for what, text in (("command", _name(SOURCES, tick.get("source"))),
                                              ("safety", _name(STATES, tick.get("safety_state")))) if text]  # fmt: skip
    for label, (unit, factor) in SHOWN.items():
        if math.isfinite(value := tick.get(label, math.nan)):
            found.append((label.replace("_", " "), f"{factor * value:.3g} {unit}".rstrip()))
    if joints := joints_at_limits(recording, recording.commands_at(np.array([time]))[0]):
        found.append(("at a limit", ", ".join(joints)))
    return found + (list(_of_plan(recording, outlook)) if outlook is not None else [])


def joints_at_limits(recording: Recording, command: Array) -> list[str]:
    """Joints that a command [A] (rad) keeps at the end of their range; none of a command that is not known."""
    action = recording.contract.action
    margin = AT_LIMIT * (action.upper - action.lower)
    at_limit = (command <= action.lower + margin) | (command >= action.upper - margin)
    return [name for name, is_at in zip(action.names, at_limit, strict=True) if is_at]


def _of_plan(recording: Recording, outlook: Outlook) -> Iterator[tuple[str, str]]:
    yield "plan", f"from {outlook.begin:.2f} s, {len(outlook.targets)} steps"
    if math.isfinite(gap := outlook.command_gap):
        yield "plan to commands", f"{gap:.3g} rad (RMS)"
    for name, (value, unit) in outlook.object_gaps(recording.contract.task).items():
        if math.isfinite(value):
            yield f"expected to seen, {name}", f"{value:.3g} {unit} (RMS)"
    if outlook.problem:
        yield "not predicted", outlook.problem


def _name(names: tuple[str, ...], number: float | None) -> str:
    known = number is not None and math.isfinite(number) and 0 <= number < len(names)
    return names[int(number)].replace("_", " ") if known and number is not None else ""
