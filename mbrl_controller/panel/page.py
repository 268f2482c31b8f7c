# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The page: what all browsers see, and what each of them may do."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mbrl_controller.control.loop import start_thread
from mbrl_controller.models.registry import Registry
from mbrl_controller.panel import words
from mbrl_controller.panel.access import Access
from mbrl_controller.panel.actions import Actions
from mbrl_controller.panel.controls import Controls
from mbrl_controller.panel.live import Live
from mbrl_controller.panel.plots import Plots
from mbrl_controller.panel.predictions import Predictions
from mbrl_controller.panel.remote_parameters import RemoteParameters
from mbrl_controller.simulation.hand_scene import HandScene
from mbrl_controller.simulation.viewer import close_tunnel, serve
from mbrl_controller.tasks.spaces import Array

SCENE_HZ, PLOT_HZ, BAR_HZ = 15.0, 5.0, 4.0  # a browser that cannot keep up falls behind further and further
NICE = 5
PLOTS_WIDTH, CONTROLS_WIDTH = 400, 380  # pixels


class Page:
    """Serves until `close`. `state`: gives the newest measured state [S], or None; asked on the drawing thread."""

    def __init__(
        self,
        live: Live,
        state: Callable[[], Array | None],
        actions: Actions,
        parameters: RemoteParameters,
        predictions: Predictions,
        access: Access,
        registry: Registry,
        *,
        port: int,
        controller: str,
        logger: str,
        model_file: Path | None = None,
    ) -> None:
        """Raises MbrlError where viser is not installed or cannot serve."""
        self._live, self._state, self._actions = live, state, actions
        self._parameters, self._predictions, self._access, self._registry = parameters, predictions, access, registry
        self._controller, self._logger = controller, logger
        self._lock = threading.Lock()
        self._controls: dict[int, Controls] = {}
        self._asked_plan = 0
        self._complaint = ""
        self._server: Any = serve(access.host, port)
        close_tunnel(self._server)
        gui = self._server.gui
        gui.configure_theme(show_logo=False, show_share_button=False, brand_color=(37, 99, 235))
        gui.set_panel_label(f"{live.contract.file.robot} · {live.contract.task.name}")
        self._scene = HandScene(self._server, live.contract, model_file)
        self._bar = gui.add_html(words.bar(words.GONE, "", ()), order=1)
        self._notes = gui.add_html("", order=30)
        self._plots = Plots(gui, live)
        self._plots.panel.dock_left()
        self._plots.panel.set_width(PLOTS_WIDTH)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(CONTROLS_WIDTH)
        self._server.on_client_connect(self._greet)
        self._server.on_client_disconnect(self._part)
        self._closed = threading.Event()
        self._thread = start_thread(self._draw_on, "panel drawing")

    @property
    def url(self) -> str:
        """Address for the browser."""
        host = f"[{self._access.host}]" if ":" in self._access.host else self._access.host
        return f"http://{host}:{self._server.get_port()}"

    def close(self) -> None:
        """Stop drawing and serving."""
        self._closed.set()
        self._thread.join()
        with self._lock:
            controls, self._controls = list(self._controls.values()), {}
        for one in controls:
            one.close()
        self._server.stop()

    def _greet(self, client: Any) -> None:
        if not self._is_own_page(client):
            client.gui.add_markdown("**Only looking**: this page was opened from elsewhere.", order=10)
        elif self._access.asks:
            self._ask_for_token(client)
        else:
            self._let_steer(client)

    def _let_steer(self, client: Any) -> None:
        controls = Controls(client, self._live, self._actions, self._parameters, self._registry)
        with self._lock:
            self._controls[client.client_id] = controls
        if client.client_id not in self._server.get_clients():
            self._part(client)

    def _ask_for_token(self, client: Any) -> None:
        gui = client.gui
        said = gui.add_markdown("**Only looking.** The token lets you steer.", order=10)
        field = gui.add_text("token", initial_value="", order=11)
        button = gui.add_button("Steer", icon="key", order=12)

        @button.on_click  # type: ignore[untyped-decorator]
        def _(_: Any) -> None:
            refusal = self._access.opens(field.value)
            field.value = ""
            if refusal:
                said.content = f"**Only looking**: {refusal}."
                return
            for one in (said, field, button):
                one.remove()
            self._let_steer(client)

    def _part(self, client: Any) -> None:
        with self._lock:
            controls = self._controls.pop(client.client_id, None)
        if controls is not None:
            controls.close()

    def _is_own_page(self, client: Any) -> bool:
        """By the headers of its request, which viser does not hand out; where they are not found, it may only look."""
        websocket = getattr(self._server, "_websock_server", None)
        connection = getattr(websocket, "_live_connections", {}).get(client.client_id)
        headers = getattr(getattr(connection, "request", None), "headers", {})
        return self._access.is_own_page(headers.get("Origin"), headers.get("Host"))

    def _draw_on(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)  # this thread's: clicks come before pictures
        plotted = told = 0.0
        while not self._closed.wait(1.0 / SCENE_HZ):
            now = time.monotonic()
            try:
                with self._server.atomic():
                    self._draw_scene()
                    if now - plotted >= 0.95 / PLOT_HZ:
                        self._plots.update(self._disagreement_limit())
                        plotted = now
            except Exception as error:  # the bar must go on, and say that the picture is not to be trusted
                self._complain(error)
            if now - told >= 1.0 / BAR_HZ:
                self._tell()
                told = now

    def _complain(self, error: Exception) -> None:
        """Say once of each error that the picture is wrong, and let the log have where."""
        text = f"cannot be drawn: {type(error).__name__}: {error}"
        if text != self._complaint:
            self._complaint = text
            self._live.note(text)
            traceback.print_exception(error)

    def _draw_scene(self) -> None:
        live, state = self._live, self._state()
        with live.lock:
            plan, plans, goal, planned = live.plan, live.plans, live.goal, live.tick.get("source", 0.0) >= 2
        if state is not None:
            self._scene.show_state(state)
        is_planned = planned and live.is_ticking and plan is not None
        if is_planned and state is not None and plan is not None and plans != self._asked_plan:
            self._asked_plan = plans
            self._predictions.ask(state, plan, self._version())
        self._scene.show_goal(goal if live.is_ticking else None)
        self._scene.show_plan(plan if is_planned else None, self._predictions.states if is_planned else None)
        self._scene.show_limits(live.binding_limits())

    def _version(self) -> str:
        with self._live.lock:
            return str(self._live.episode.get("model_version") or "current")

    def _disagreement_limit(self) -> float:
        report = self._live.status(f"{self._controller}: control")
        try:
            return float(report.values["disagreement limit"]) if report else float("nan")
        except (KeyError, ValueError):
            return float("nan")

    def _tell(self) -> None:
        """The bar and the lines below it; viser sends what has changed."""
        live = self._live
        report = live.status(f"{self._controller}: control")
        values = report.values if report else {}
        state = words.state_of(live.tick, values or None, live.is_ticking)
        facts = [("model", values.get("model version", "")), ("planner", values.get("planner", ""))]
        if live.is_ticking:
            tick = live.tick
            facts += [("episode", f"{tick.get('episode', -1):.0f}"), ("missed", f"{tick.get('missed_ticks', 0):.0f}")]
            with suppress(KeyError, ValueError):
                facts.append(("rate", f"{float(values['Actual frequency (Hz)']):.2f} Hz"))
        html = words.bar(state, values.get("reason", ""), facts)
        if html != self._bar.content:
            self._bar.content = html
        with live.lock:
            notes = list(live.notes)
        job = live.status(f"{self._logger}: retraining")
        if job is not None and job.message != "not asked for":
            notes.append(f"retraining: {job.message}")
        lines = words.lines(notes)
        if lines != self._notes.content:
            self._notes.content = lines
