# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Bridges the delay from a state's measurement to the effect of a new command.

Meanwhile earlier commands are in force. They are replayed through the model, so that a plan begins at the state that it
will meet. A command sent at s acts from s + lead on, for any lead. So the commands sent in the last `delay` seconds are
those in force from the measurement to the effect.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from mbrl_controller.control.config import MAX_DELAY_S, DelayKind
from mbrl_controller.planning.objective import RolloutModel
from mbrl_controller.tasks.orientation import made_orthonormal
from mbrl_controller.tasks.spaces import Array, VectorSpec

REMEMBERED = 4096  # commands: 8 s at 500 Hz
WHOLE = 1e-3  # of a period: less is rounding of the times


@dataclass(frozen=True)
class Delay:
    """`total` (s): from the oldest measurement to the new command's effect; `lead` (s) of it still lies ahead."""

    total: float = 0.0
    lead: float = 0.0


def estimate(kind: DelayKind, given: float, age: float = 0.0, execution: float = 0.0) -> Delay:
    """Estimate the delay.

    Args:
        kind: none; given: `given` alone; measured: `given`, `age` and `execution`.
        given: s, from a command to its effect.
        age: s, of the state: tick less stamp. A stamp from the future or one that is not a number counts as no age.
        execution: s, from the tick to the command.
    """
    if kind == "none":
        return Delay()
    lead = _seconds(given) + (_seconds(execution) if kind == "measured" else 0.0)
    age = _seconds(age) if kind == "measured" else 0.0
    return Delay(min(age + lead, MAX_DELAY_S), min(lead, MAX_DELAY_S))


class SentCommands:
    """The commands sent, with their times. A command sent at the time of an earlier one, or before it (the clock jumped
    back), replaces it."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, Array]] = deque(maxlen=REMEMBERED)

    def add(self, time: float, command: Array) -> None:
        """`command` [A] was sent at `time` (s)."""
        while self._sent and not self._sent[-1][0] < time:
            self._sent.pop()
        self._sent.append((time, command))

    def clear(self) -> None:
        """Forget them all."""
        self._sent.clear()

    def at(self, time: float) -> Array | None:
        """The command [A] sent last up to `time` (s); None where none was."""
        for sent, command in reversed(self._sent):
            if sent <= time:
                return command
        return None


@dataclass(frozen=True)
class Replay:
    """Commands [A] to replay: `first` for `fraction` of a period, then each of `whole` for one, oldest first. The
    fraction is one for all, or one for each entry of the state [S]."""

    first: Array | None = None
    fraction: float | Array = 0.0
    whole: tuple[Array, ...] = ()


def commands_in_force(sent: SentCommands, now: float, delay: float | Array, period: float) -> Replay:
    """The commands sent in the last `delay` seconds, cut into control periods that end at `now`.

    Each period has the command sent last before its middle: ticks jitter, and a command that was soon superseded does
    not count. Time before the first command is left out, because the hand rests.

    Args:
        sent: the commands.
        now: s.
        delay: s; one for each entry [S] if these were measured at different times. The whole periods are those of the
            newest entry; the fraction is what is left for each.
        period: s.
    """
    count = math.floor(np.min(delay) / period + WHOLE)
    fraction = np.maximum(np.asarray(delay) / period - count, 0.0)

    def of(i: int) -> Array | None:
        return sent.at(now - (i - 0.5) * period)

    whole = tuple(command for i in range(count, 0, -1) if (command := of(i)) is not None)
    first = of(count + 1) if np.max(fraction) > WHOLE else None
    return Replay(first, fraction if first is not None else 0.0, whole)


def predict(model: RolloutModel, spec: VectorSpec, state: Array, replay: Replay) -> Array:
    """`state` [S] after the replay, by the mean of the model's members. The model knows whole periods only, so for the
    first, partial one the same fraction of the predicted change is used. Orientations stay proper."""
    if replay.first is not None:
        change = spec.difference(_mean(model.rollout(state, replay.first[None, None])), state)
        state = made_orthonormal(state + replay.fraction * change, spec.orientations)
    if replay.whole:
        state = made_orthonormal(_mean(model.rollout(state, np.stack(replay.whole)[None])), spec.orientations)
    return state


def _mean(states: Array) -> Array:
    """The last states [S] of a rollout [E, 1, H, S], averaged over the members."""
    return np.asarray(states[:, 0, -1].mean(0), dtype=float)


def _seconds(value: float) -> float:
    return min(value, MAX_DELAY_S) if value > 0 else 0.0  # NaN is not above 0
