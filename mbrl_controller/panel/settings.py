# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sliders and menus for the live parameters, made from their descriptors: one set for each browser that may steer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from rclpy.parameter import Parameter

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.panel.actions import Actions
from mbrl_controller.panel.parameter_info import GROUPS, ParameterInfo
from mbrl_controller.panel.remote_parameters import RemoteParameters

HIDDEN = ("model_version", "goal_options")  # which have their own places on the page


class Settings:
    """Widgets that follow the parameters, and set them. `told` gets (success, text) of what was asked here."""

    def __init__(
        self,
        client: Any,
        container: Any,
        parameters: RemoteParameters,
        actions: Actions,
        told: Callable[[bool, str], None],
    ) -> None:
        self._gui, self._container = client.gui, container
        self._parameters, self._actions, self._told = parameters, actions, told
        self._lock = threading.RLock()
        self._widgets: dict[str, tuple[ParameterInfo, Any]] = {}
        self._folders: list[Any] = []
        self._wanted: dict[str, Any] = {}  # moved here; the newest value while an older one is being set
        self._running: set[str] = set()
        self._closed = False
        self.follow()
        parameters.listen(self.follow)

    def close(self) -> None:
        """Follow no more; the browser is gone."""
        self._closed = True
        self._parameters.unlisten(self.follow)

    def follow(self) -> None:
        """Show the parameters as they are there."""
        infos = {name: info for name, info in self._parameters.infos.items() if name not in HIDDEN}
        with self._lock:
            if self._closed:
                return
            if infos != {name: info for name, (info, _) in self._widgets.items()}:
                self._build(infos)
            for name, (info, widget) in self._widgets.items():
                if name not in self._running:
                    self._show(info, widget)

    def _show(self, info: ParameterInfo, widget: Any) -> None:
        value = self._parameters.value(info.name)
        if value is not None:
            shown = json.dumps(value) if isinstance(value, list) else value
            if widget.value != shown:
                widget.value = shown

    def _build(self, infos: dict[str, ParameterInfo]) -> None:
        for folder in self._folders:
            folder.remove()
        self._folders, self._widgets = [], {}
        with self._container:
            for group in GROUPS:
                members = [info for info in infos.values() if info.group == group]
                if not members:
                    continue
                folder = self._gui.add_folder(group, expand_by_default=group == "Planner")
                self._folders.append(folder)
                with folder:
                    for info in members:
                        widget = self._add(info, self._parameters.value(info.name))
                        if widget is not None:
                            self._widgets[info.name] = (info, widget)
                            widget.on_update(lambda event, info=info: self._moved(info, event))

    def _add(self, info: ParameterInfo, value: Any) -> Any:
        gui, hint = self._gui, info.description
        if value is None:
            return None
        if isinstance(value, bool):
            return gui.add_checkbox(info.label, initial_value=value, hint=hint)
        if info.choices:
            return gui.add_dropdown(
                info.label, tuple(dict.fromkeys((*info.choices, value))), initial_value=value, hint=hint
            )
        if info.is_number:
            kind = int if info.kind == Parameter.Type.INTEGER else float
            if info.slides(value):
                return gui.add_slider(
                    info.label,
                    min=kind(info.lower),
                    max=kind(info.upper),
                    step=kind(info.step),
                    initial_value=value,
                    hint=hint,
                )
            return gui.add_number(info.label, initial_value=value, hint=hint)
        shown = json.dumps(value) if isinstance(value, list) else value
        return gui.add_text(info.label, initial_value=shown, hint=hint)

    def _moved(self, info: ParameterInfo, event: Any) -> None:
        """A person moved a widget: set the parameter, and after that what it was moved to meanwhile."""
        if event.client_id is None:  # it was moved by `follow`
            return
        with self._lock:
            self._wanted[info.name] = event.target.value
            if info.name in self._running:
                return
            self._running.add(info.name)
        self._set_next(info)

    def _set_next(self, info: ParameterInfo) -> None:
        with self._lock:
            if info.name not in self._wanted:
                self._running.discard(info.name)
                self.follow()
                return
            value = self._wanted.pop(info.name)
        if info.kind.name.endswith("_ARRAY"):
            try:
                value = info.parse(value)
            except MbrlError as error:
                self._done(info, False, str(error))
                return
        self._actions.set_parameter(info.name, value, lambda good, text: self._done(info, good, text))

    def _done(self, info: ParameterInfo, good: bool, text: str) -> None:
        if not good:
            with self._lock:
                self._wanted.pop(info.name, None)
            self._told(False, text)
        self._set_next(info)
