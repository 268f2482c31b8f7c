# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The bar at the top of the page: the safety state and its reason, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from mbrl_controller.nodes.controller_output import STATES

GONE = "gone"
WORDS = {
    GONE: ("NO CONTROLLER", "#6b7280", "No controller is heard. Is it running, in the same ROS domain?"),
    "inactive": ("INACTIVE", "#6b7280", "The controller is not active. It sends nothing."),
    "ready": ("READY", "#2563eb", "The controller waits. It sends no plans yet."),
    "running": ("RUNNING", "#15803d", "The controller moves the hand."),
    "holding": ("HOLDING", "#b45309", "The hand is held. It goes on by itself when the reason is gone."),
    "stopped": ("STOPPED", "#b91c1c", "Nothing is sent. Only a reset clears this."),
    "handed_over": ("HANDED OVER", "#7c3aed", "Someone else commands the hand. Take back when they have finished."),
}
EXPLAINED = ("ready", "holding", "stopped", "handed_over")  # states whose reason says more than their name


def state_of(tick: Mapping[str, float], report: Mapping[str, str] | None, is_ticking: bool) -> str:
    """The safety state's name: as the last tick says, else as /diagnostics does; `gone` where neither is heard."""
    if is_ticking and 0 <= tick.get("safety_state", -1) < len(STATES):
        return str(STATES[int(tick["safety_state"])])
    if report is None:
        return GONE
    state = report.get("safety state", "inactive")
    return state if state in WORDS else "inactive"


def bar(state: str, reason: str, facts: Iterable[tuple[str, str]]) -> str:
    """HTML of the bar. `facts`: names and values beside it."""
    title, color, meaning = WORDS[state]
    why = f"<b>{escape(reason)}</b><br>" if reason and state in EXPLAINED else ""
    cells = "".join(
        f'<span style="white-space:nowrap"><span style="opacity:.75">{escape(name)}</span> '
        f"<b>{escape(value)}</b></span>"
        for name, value in facts
        if value
    )
    return (
        f'<div id="safety-bar" data-state="{state}" style="background:{color};color:white;border-radius:8px;'
        f'padding:10px 14px;margin:2px 0 6px;font-family:system-ui,sans-serif">'
        f'<div style="font-size:22px;font-weight:750;letter-spacing:.04em;line-height:1.15">{title}</div>'
        f'<div style="font-size:13px;line-height:1.35;margin-top:3px">{why}{escape(meaning)}</div>'
        f'<div style="font-size:12px;display:flex;flex-wrap:wrap;gap:2px 14px;margin-top:6px">{cells}</div></div>'
    )


def lines(notes: Iterable[str]) -> str:
    """HTML of the last events."""
    rows = "".join(f"<div>{escape(note)}</div>" for note in notes)
    return f'<div id="notes" style="font:12px/1.45 ui-monospace,monospace;opacity:.85;padding:0 2px 6px">{rows}</div>'
