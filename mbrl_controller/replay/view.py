# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The replay in the browser: the hand as it was seen, its plans, and a time line."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.loop import start_thread
from mbrl_controller.replay import facts
from mbrl_controller.replay.charts import Charts
from mbrl_controller.replay.controls import Controls
from mbrl_controller.replay.moments import Kind, Moment, find_moments, next_moment
from mbrl_controller.replay.outlook import Outlook, Outlooks
from mbrl_controller.replay.player import Player
from mbrl_controller.replay.playlist import Entry
from mbrl_controller.replay.recording import Recording
from mbrl_controller.replay.stage import Stage
from mbrl_controller.simulation.viewer import HOST, close_tunnel, serve

RATE = 20.0  # Hz, of drawing
CHARTS_WIDTH, CONTROLS_WIDTH = 400, 360  # pixels


class ReplayView:
    """Serves at http://127.0.0.1:<port> until `close`. Browsers only ask; one thread does everything."""

    def __init__(
        self,
        entries: Sequence[Entry],
        outlooks: Outlooks,
        port: int = 8080,
        model_file: Path | None = None,
        on_note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """
        Args:
            entries: episodes for the menu; the first one that can be read is shown.
            outlooks: where the models are.
            port: the next free one where it is in use.
            model_file: the hand's MJCF or URDF; None: the contract's world, or another of its robot.
            on_note: called with a line for each episode that cannot be shown.

        Raises:
            MbrlError: viser is not installed or cannot serve, a model's file is wrong, or no episode can be shown.
        """
        self._entries = {entry.label: entry for entry in entries}
        self._outlooks, self._on_note = outlooks, on_note
        first = self._first_readable(entries)
        self._label, self.recording = first
        self._server: Any = serve(HOST, port)
        close_tunnel(self._server)
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        gui = self._server.gui
        gui.configure_theme(show_logo=False, show_share_button=False)
        try:
            self._stage = Stage(self._server, first[1].contract, model_file)
        except MbrlError:
            self._server.stop()
            raise
        self.controls = Controls(gui, list(self._entries), self, self.ask)
        side = gui.add_panel()
        with side.add_tab("Charts"):
            self._joint = gui.add_dropdown("joint", first[1].contract.action.names)
            self._charts = Charts(gui)
        side.dock_left()
        side.set_width(CHARTS_WIDTH)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(CONTROLS_WIDTH)

        @self._joint.on_update  # type: ignore[untyped-decorator]
        def _(event: Any) -> None:
            if event.client_id is not None:
                self.ask(lambda: self._charts.draw_joint(self.recording, self._joint.value))

        self.plans_shown = True
        self._kept: int | None = None
        self.player = Player(0.0, 0.0)
        self._begin(*first)
        self._closed = threading.Event()
        self._thread = start_thread(self._run, "replay")

    @property
    def url(self) -> str:
        """Address for the browser."""
        return f"http://{HOST}:{self._server.get_port()}"

    def ask(self, do: Callable[[], None]) -> None:
        """Have something done on the drawing thread, soon."""
        self._asked.put(do)

    def close(self) -> None:
        """Stop serving."""
        self._closed.set()
        self._thread.join()
        self._server.stop()

    # --- what the controls ask for; called on the drawing thread ----------------------------------------------------

    def open(self, label: str) -> None:
        """Show another episode; where it cannot be read, say so and stay."""
        try:
            recording = Recording.load(self._entries[label].path)
        except MbrlError as error:
            self._on_note(f"skipped: {error}")
            self.controls.say(f"{label} cannot be shown: {error}")
            self.controls.episode.value = self._label
            return
        self._begin(label, recording)

    def seek(self, at: float) -> None:
        """Go to a time (s)."""
        self.player.seek(at)

    def toggle(self) -> None:
        """Play or pause."""
        self.player.toggle()

    def step(self, count: int) -> None:
        """Control periods on or back."""
        self.player.step(count)

    def set_speed(self, speed: float) -> None:
        """Times real time."""
        self.player.speed = speed

    def jump(self, kind: Kind | None, backwards: bool) -> None:
        """To the next moment of a kind, or of any; paused there."""
        found = next_moment(self.moments, self.player.time, kind, backwards=backwards)
        if found is not None:
            self.player.playing = False
            self.player.seek(found.time)

    def show_plans(self, wanted: bool) -> None:
        """Draw plans or not."""
        self.plans_shown = wanted

    def keep_plan(self, wanted: bool) -> None:
        """Go on to show the plan of now, or again that of each time."""
        self._kept = self.recording.plan_at(self.player.time) if wanted else None

    # --- drawing ----------------------------------------------------------------------------------------------------

    def _first_readable(self, entries: Sequence[Entry]) -> tuple[str, Recording]:
        for entry in entries:
            try:
                return entry.label, Recording.load(entry.path)
            except MbrlError as error:
                if len(entries) == 1:
                    raise
                self._on_note(f"skipped: {error}")
        raise MbrlError("none of these episodes can be shown")

    def _begin(self, label: str, recording: Recording) -> None:
        self._label, self.recording = label, recording
        self.moments: tuple[Moment, ...] = find_moments(recording)
        self.player = Player(recording.duration, recording.period, speed=self.player.speed)
        self._outlook: tuple[int, Outlook] | None = None
        self._kept = None
        self._drawn: object = None
        self._stage.use(recording.contract)
        names = recording.contract.action.names
        if self._joint.options != names:
            self._joint.options = names
        self.controls.begin(label, recording.duration, self.moments, facts.of_episode(recording))
        self._charts.draw(recording, self._joint.value)

    def _run(self) -> None:
        before = time.monotonic()
        while not self._closed.wait(1.0 / RATE):
            while not self._asked.empty():
                try:
                    self._asked.get()()
                except MbrlError as error:
                    self.controls.say(str(error))
            now = time.monotonic()
            self.player.advance(now - before)
            before = now
            self.draw()

    def draw(self) -> None:
        """Show the time that the player is at; does nothing where nothing changed."""
        at = self.player.time
        look = (self._label, at, self.player.playing, self.plans_shown, self._kept)
        if look == self._drawn:
            return
        self._drawn = look
        outlook = self._outlook_at(at) if self.plans_shown else None
        step = -1
        if outlook is not None and self._kept is not None:
            step = int(np.clip((at - outlook.begin) / self.recording.period, 0, len(outlook.targets) - 1))
        with self._server.atomic():
            self._stage.show(self.recording, at, outlook, step)
            self.controls.show(at, self.player.playing, facts.of_moment(self.recording, at, outlook))
            self._charts.mark(at)

    def _outlook_at(self, at: float) -> Outlook | None:
        number = self._kept if self._kept is not None else self.recording.plan_at(at)
        if number is None:
            return None
        if self._outlook is None or self._outlook[0] != number:
            self._outlook = number, self._outlooks.of(self.recording, number)
        return self._outlook[1]
