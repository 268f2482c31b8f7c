# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Goals: a form of the task's goal options, and one of its goal vector, with units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import format_options, parse_options
from mbrl_controller.panel.actions import Actions
from mbrl_controller.panel.remote_parameters import RemoteParameters
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.goal_options import GoalOption
from mbrl_controller.tasks.spaces import Array

PARAMETER = "goal_options"
FREE = "(drawn)"  # of a menu: the option is not fixed
SAMPLES, MARGIN = 64, 0.25  # goals that tell the ranges of the sliders; added on both sides, of the range
MOST_TIMES = 5


class GoalForm:
    """For one browser. Options fix parts of the goals that are drawn; the vector is one goal, from now on."""

    def __init__(
        self,
        client: Any,
        container: Any,
        task: Task,
        parameters: RemoteParameters,
        actions: Actions,
        told: Callable[[bool, str], None],
    ) -> None:
        self._gui, self._task, self._parameters = client.gui, task, parameters
        self._actions, self._told = actions, told
        self._choices: dict[str, tuple[GoalOption, Any]] = {}
        with container, self._gui.add_folder("Goals that are drawn"):
            for option in task.goal_options:
                self._choices[option.name] = (option, self._option(option))
            self._text = self._gui.add_text(
                "all options", initial_value="", hint="as `--goal` takes them: direction=clockwise"
            )
            set_button = self._gui.add_button("Set goal options", hint="from the next goal on; what is free is drawn")
            set_button.on_click(lambda _: self._set_options())
        with container, self._gui.add_folder(f"One goal, from now on ({task.goal_unit})", expand_by_default=False):
            lower, middle, upper = _ranges(task)
            self._entries = [
                self._gui.add_slider(
                    f"{name} ({unit})" if unit else name, min=low, max=high, step=step, initial_value=first
                )
                for name, unit, low, high, step, first in zip(
                    task.goal.names, task.goal.units, *_slider(lower, middle, upper), strict=True
                )
            ]
            send = self._gui.add_button("Send goal")
            send.on_click(lambda _: self._actions.set_goal(np.array([one.value for one in self._entries]), self._told))
        self.follow()
        parameters.listen(self.follow)

    def close(self) -> None:
        """Follow no more."""
        self._parameters.unlisten(self.follow)

    def follow(self) -> None:
        """Show the options as the controller has them."""
        text = self._parameters.value(PARAMETER)
        if text is None:
            return
        try:
            given = parse_options(PARAMETER, text)
        except MbrlError:
            given = {}
        self._text.value = text
        for name, (option, widget) in self._choices.items():
            shown = str(given[name]) if name in given else FREE if option.choices else ""
            if not option.choices or shown in widget.options:
                widget.value = shown

    def _option(self, option: GoalOption) -> Any:
        unit = f" ({option.unit})" if option.unit else ""
        if option.choices:
            return self._gui.add_dropdown(
                option.name, (FREE, *option.choices), initial_value=FREE, hint=option.description
            )
        low, high = (f"{bound:g}" if math.isfinite(bound) else "" for bound in (option.lower, option.upper))
        hint = f"{option.description}; {low} to {high}{unit}; empty: it is drawn"
        return self._gui.add_text(f"{option.name}{unit}", initial_value="", hint=hint)

    def _set_options(self) -> None:
        """The menus win over the text; what is free in them is taken out of it."""
        try:
            wanted = parse_options(PARAMETER, self._text.value)
            for name, (_, widget) in self._choices.items():
                wanted.pop(name, None)
                if widget.value.strip() not in ("", FREE):
                    wanted |= parse_options(PARAMETER, f"{name}={widget.value.strip()}")
            text = format_options(wanted)
        except MbrlError as error:
            self._told(False, str(error))
            return

        def told(good: bool, line: str) -> None:
            self._told(good, line or f"goals from now on: {text or 'drawn freely'}")
            self.follow()

        self._actions.set_parameter(PARAMETER, text, told)


def _ranges(task: Task) -> tuple[Array, Array, Array]:
    """Lowest, a typical and highest of each goal entry [G], of goals that the task draws."""
    rng = np.random.default_rng(0)
    times = np.linspace(0.0, task.episode_s, MOST_TIMES)
    drawn = np.concatenate([task.sample_goal(rng).at(times) for _ in range(SAMPLES)])
    return drawn.min(axis=0), drawn[0], drawn.max(axis=0)


def _slider(lower: Array, middle: Array, upper: Array) -> tuple[list[float], list[float], list[float], list[float]]:
    """Minimum, maximum, step and first value of each entry's slider."""
    room = MARGIN * np.maximum(upper - lower, 0.1 * np.maximum(np.abs(upper), 0.1))
    step = 10.0 ** np.floor(np.log10((upper - lower + 2 * room) / 200.0))
    low, high = np.floor((lower - room) / step) * step, np.ceil((upper + room) / step) * step
    first = np.clip(np.round(middle / step) * step, low, high)
    return low.tolist(), high.tolist(), step.tolist(), first.tolist()
