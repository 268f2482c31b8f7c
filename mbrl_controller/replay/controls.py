# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The replay's menus, buttons and time line, the same in all browsers.

A person's input only asks: `asked` gets functions, which the drawing thread calls.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from mbrl_controller.replay.moments import KINDS, Kind, Moment

SPEEDS = ("0.1", "0.25", "0.5", "1", "2", "4")
ANY = "any"
PLAN_HINT = "ghost: the hand at the plan's end; coloured lines: what each member expects; dark: what happened"
PLAY, PAUSE = "Play", "Pause"


class Replay(Protocol):
    """What the controls ask for."""

    def open(self, label: str) -> None: ...

    def seek(self, time: float) -> None: ...

    def toggle(self) -> None: ...

    def step(self, count: int) -> None: ...

    def set_speed(self, speed: float) -> None: ...

    def jump(self, kind: Kind | None, backwards: bool) -> None: ...

    def show_plans(self, wanted: bool) -> None: ...

    def keep_plan(self, wanted: bool) -> None: ...


class Controls:
    """Handles in a viser GUI."""

    def __init__(
        self, gui: Any, episodes: Sequence[str], replay: Replay, asked: Callable[[Callable[[], None]], None]
    ) -> None:
        """
        Args:
            gui: viser's.
            episodes: labels for the menu.
            replay: does what is asked.
            asked: takes what a person asked for, on any thread.
        """
        self._shown: dict[str, str] = {}
        self._moments: dict[str, Moment] = {}
        self.episode = gui.add_dropdown("episode", tuple(episodes), hint="of this session")
        self.about = gui.add_html("")
        self.time = gui.add_slider("time (s)", 0.0, 1.0, 0.01, 0.0)
        self.play = gui.add_button(PLAY, hint="or pause")
        self.steps = gui.add_button_group("step", ("-10", "-1", "+1", "+10"), hint="control periods")
        self.speed = gui.add_dropdown("speed", SPEEDS, initial_value="1", hint="times real time")
        with gui.add_folder("moments"):
            self.kind = gui.add_dropdown("kind", (ANY, *KINDS))
            self.jump = gui.add_button_group("jump", ("previous", "next"))
            self.moment = gui.add_dropdown("list", ("",))
        self.plans = gui.add_checkbox("plan", True, hint=PLAN_HINT)
        self.keep = gui.add_checkbox("keep this plan", False, hint="and see the ghost go its way beside the hand")
        self.now = gui.add_html("")

        def on_input(handle: Any, do: Callable[[Any], None]) -> None:
            @handle.on_update  # type: ignore[untyped-decorator]
            def _(event: Any) -> None:
                if event.client_id is not None:  # not what the replay itself has set
                    value = handle.value
                    asked(lambda: do(value))

        def on_click(handle: Any, do: Callable[[Any], None]) -> None:
            @handle.on_click  # type: ignore[untyped-decorator]
            def _(event: Any) -> None:
                value = getattr(handle, "value", None)
                asked(lambda: do(value))

        on_input(self.episode, replay.open)
        on_input(self.time, replay.seek)
        on_input(self.speed, lambda text: replay.set_speed(float(text)))
        on_input(self.moment, lambda text: replay.seek(self._moments[text].time) if text in self._moments else None)
        on_input(self.plans, replay.show_plans)
        on_input(self.keep, replay.keep_plan)
        on_click(self.play, lambda _: replay.toggle())
        on_click(self.steps, lambda text: replay.step(int(text)))
        on_click(self.jump, lambda text: replay.jump(self._wanted_kind(), text == "previous"))

    def begin(self, label: str, duration: float, moments: Sequence[Moment], about: Sequence[tuple[str, str]]) -> None:
        """An episode of `duration` (s) is shown from now on."""
        if self.episode.value != label:
            self.episode.value = label
        self.time.max = max(math.ceil(100 * duration) / 100, 0.01)
        self._moments = {str(moment): moment for moment in moments}
        self.moment.options = ("", *self._moments)
        self.about.content = table(about)

    def show(self, time: float, playing: bool, facts: Sequence[tuple[str, str]]) -> None:
        """Where the replay is; sends only what is new."""
        if abs(self.time.value - time) > 1e-9:
            self.time.value = time
        self._set(self.play, "label", PAUSE if playing else PLAY)
        self._set(self.now, "content", table(facts))

    def say(self, text: str) -> None:
        """What went wrong, in place of what is told of the episode."""
        self.about.content = table([("", text)])

    def _wanted_kind(self) -> Kind | None:
        return None if self.kind.value == ANY else self.kind.value

    def _set(self, handle: Any, name: str, value: str) -> None:
        if getattr(handle, name) != value:
            setattr(handle, name, value)


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Pairs as an HTML table; texts come from logs, so nothing in them is markup."""
    cells = "".join(
        f'<tr><td style="padding-right:8px;opacity:.65">{html.escape(label)}</td><td>{html.escape(text)}</td></tr>'
        for label, text in rows
    )
    return f'<table style="font:12px system-ui;margin:2px 6px">{cells}</table>'
