# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The scope in which a hand is included, kept for nodes that start after the launch has left it."""

from __future__ import annotations

from typing import Any

from launch import Action, LaunchContext
from launch.actions import GroupAction, OpaqueFunction


class Scope:
    """Launch configurations and environment as they are now.

    A group's own (its pushed namespace, what SetParameter and SetRemap gave) are gone once all its actions have been
    visited, and a flat file's are overwritten by the next one's: handlers of events that come later see others.
    """

    def __init__(self, context: LaunchContext) -> None:
        self._configurations = _copy(context.launch_configurations)
        self._environment = dict(context.environment)

    def around(self, action: Action) -> Action:
        """The action, executed as if it stood where this scope was taken."""
        return GroupAction([OpaqueFunction(function=self._enter), action])

    def _enter(self, context: LaunchContext) -> None:
        # In place: the group, which puts back what was there before, hands out these very mappings.
        for current, kept in (
            (context.launch_configurations, _copy(self._configurations)),
            (context.environment, self._environment),
        ):
            current.clear()
            current.update(kept)


def _copy(configurations: dict[str, Any]) -> dict[str, Any]:
    """With lists of their own: launch_ros keeps remaps and global parameters in lists that it adds to."""
    return {name: list(value) if isinstance(value, list) else value for name, value in configurations.items()}
