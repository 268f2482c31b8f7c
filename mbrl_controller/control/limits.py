# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The allowed commands, given the measured joints and the last command. Arrays [A] of joint angles, rad."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mbrl_controller.tasks.spaces import ActionSpace, Array, Mask


@dataclass(frozen=True)
class Window:
    """The commands from `lower` to `upper`; where they cross, there is none."""

    lower: Array
    upper: Array

    @property
    def crossed(self) -> Mask:
        """Joints [A] for which no command is allowed."""
        return np.asarray(self.lower > self.upper)

    def nearest(self, target: Array) -> Array:
        """The allowed command nearest to `target`."""
        return np.clip(target, self.lower, self.upper)


def allowed(action: ActionSpace, position: Array | None, last: Array | None, max_jump: float) -> Window:
    """The window of allowed commands.

    Args:
        action: joint limits, and the reach: what `max_rate` allows a joint in one period.
        position: measured; a command lies within the reach of it. None: not known.
        last: the last command. None: nothing was sent.
        max_jump: largest change from `last`, in reaches.
    """
    reach = action.max_rate * action.period
    lower, upper = action.lower, action.upper
    if position is not None:
        lower, upper = np.maximum(lower, position - reach), np.minimum(upper, position + reach)
    if last is not None:
        lower, upper = np.maximum(lower, last - max_jump * reach), np.minimum(upper, last + max_jump * reach)
    return Window(lower, upper)


def obstacle(action: ActionSpace, position: Array | None, last: Array | None, max_jump: float) -> str:
    """Why no command keeps all limits, by the first joint at fault; empty if one does. Arguments as for `allowed`."""
    crossed = allowed(action, position, last, max_jump).crossed
    if position is None or not crossed.any():
        return ""
    joint = int(np.argmax(crossed))
    name, angle = action.names[joint], position[joint]
    outside = max(action.lower[joint] - angle, angle - action.upper[joint])
    if last is None or outside > action.max_rate[joint] * action.period:
        return f"{name} is measured at {angle:.3g} rad, {outside:.2g} outside its limits"
    return (
        f"{name} is measured at {angle:.3g} rad, too far from its command of {last[joint]:.3g}; if the measurement is "
        "right, ~/reset starts from it"
    )
