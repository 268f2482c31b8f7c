# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What one browser may do: buttons, versions, settings and goals. Made in that browser alone, once it may steer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.models.registry import Registry
from mbrl_controller.panel.actions import Actions, Told
from mbrl_controller.panel.goal_form import GoalForm
from mbrl_controller.panel.live import Live
from mbrl_controller.panel.remote_parameters import RemoteParameters
from mbrl_controller.panel.settings import Settings

NONE = "(none)"
SHOWN_S = 6.0  # of a notice; a refusal stays longer
STOP_LABEL = "EMERGENCY STOP"
# The stop is the only button whose icon is a raised hand; viser has one size of buttons.
STYLE = """<style>button:has(.icon-tabler-hand-stop){height:72px!important;font-size:23px!important;font-weight:800}
button:has(.icon-tabler-hand-stop) .mantine-Button-section{width:auto!important;margin-right:16px!important}
button:has(.icon-tabler-hand-stop) .mantine-Button-section *{width:36px!important;height:36px!important}</style>"""


class Controls:
    """The widgets of one browser. viser calls their handlers on threads of its own; none of them waits."""

    def __init__(
        self, client: Any, live: Live, actions: Actions, parameters: RemoteParameters, registry: Registry
    ) -> None:
        self._client, self._live, self._actions, self._registry = client, live, actions, registry
        self._gone = False
        gui = client.gui
        gui.add_html(STYLE, order=10)
        stop = gui.add_button(
            STOP_LABEL, color="red", icon="hand-stop", order=11, hint="the safe command once, then nothing"
        )

        @stop.on_click  # type: ignore[untyped-decorator]
        async def _(event: Any) -> None:  # on viser's event loop: it waits for no thread
            actions.e_stop()

        self._button("Reset", "refresh", 12, actions.reset, "clears a stop; a new episode begins")
        self._button("New episode", "player-play", 13, actions.new_episode, "ends this one and begins another")
        self._button("Hand over", "arrow-up-right", 14, lambda told: actions.hand_over(True, told),
                     "nothing more is sent: someone else commands the hand", "gray")  # fmt: skip
        self._button("Take back", "arrow-down-left", 15, lambda told: actions.hand_over(False, told),
                     "begins a new episode from where the hand is", "gray")  # fmt: skip
        tabs = gui.add_tab_group(order=20)
        with tabs.add_tab("Model"):
            self._versions = gui.add_dropdown(
                "version", (NONE,), initial_value=NONE, hint="of the registry, for this task"
            )
            self._load = gui.add_button("Load version", icon="download", hint="between two ticks; none is missed")
            self._load.on_click(lambda _: self._load_version())
            again = gui.add_button("List again", icon="list", color="gray")
            again.on_click(lambda _: self.list_versions())
            retrain = gui.add_button("Retrain", icon="school", hint="the logger's job, in a process of its own")
            retrain.on_click(lambda _: actions.retrain(self.tell))
            end = gui.add_button("End their episode", icon="player-stop", color="gray",
                                 hint="of an episode that began while others command the hand")  # fmt: skip
            end.on_click(lambda _: actions.end_episode(self.tell))
        self.goals = GoalForm(client, tabs.add_tab("Goals"), live.contract.task, parameters, actions, self.tell)
        self.settings = Settings(client, tabs.add_tab("Settings"), parameters, actions, self.tell)
        self.list_versions()

    def close(self) -> None:
        """The browser is gone."""
        self._gone = True
        self.settings.close()
        self.goals.close()

    def tell(self, good: bool, text: str) -> None:
        """Show a notice in this browser; of a success without words, nothing."""
        if self._gone or (good and not text.partition(": ")[2]):
            return
        with suppress(Exception):  # the browser may just have gone
            self._client.add_notification(
                "Done" if good else "Refused",
                text,
                color="green" if good else "red",
                auto_close_seconds=SHOWN_S if good else 3 * SHOWN_S,
            )

    def list_versions(self) -> None:
        """Fill the menu from the registry."""
        task = self._live.contract.task.name
        try:
            names = [version.name for version in self._registry.versions(task)]
        except MbrlError as error:
            self.tell(False, str(error))
            return
        names = ["current", *names] if names else [NONE]
        self._versions.options = tuple(names)

    def _load_version(self) -> None:
        if self._versions.value == NONE:
            self.tell(False, "the registry has no version for this task: retrain makes one")
        else:
            self._actions.load_version(self._versions.value, self.tell)

    def _button(
        self, label: str, icon: str, order: float, act: Callable[[Told], None], hint: str, color: str | None = None
    ) -> None:
        button = self._client.gui.add_button(label, icon=icon, order=order, hint=hint, color=color)
        button.on_click(lambda _: act(self.tell))
