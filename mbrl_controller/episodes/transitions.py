"""Transitions of an episode, paired by stamps and never by order of arrival.

Transition k is (newest state at or before t_k, command stamped t_k, newest state at or before t_k+1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.episodes.contract import RobotContract
from mbrl_controller.episodes.doubt import doubtful, reason_at
from mbrl_controller.episodes.messages import NANO
from mbrl_controller.episodes.reader import Episode
from mbrl_controller.episodes.state_assembly import join_samples
from mbrl_controller.tasks.spaces import Array

PERIOD_TOLERANCE = 0.2  # of a period: two commands this much nearer or further apart are not consecutive ticks
STAMP_SLACK = 1_000  # ns; stamps may have passed through float seconds, which today resolve 240 ns
_EVENT_SLACK = 1_000_000  # ns; events carry their stamp as a float of seconds


@dataclass(frozen=True)
class Transitions:
    """Rows (state, action, next state), SI units; actions are joint targets (rad)."""

    state: Array  # [T, S]
    action: Array  # [T, A]
    next_state: Array  # [T, S]
    step: NDArray[np.int64]  # [T] tick within the episode; a gap says that rows do not follow each other
    key: str  # names the episode for ever
    skipped: Mapping[str, int]  # reason -> commands that gave no transition

    def __len__(self) -> int:
        return len(self.step)


def transitions(episode: Episode) -> Transitions:
    """The episode's usable transitions; why the rest is not is in `skipped`."""
    contract, commands = episode.contract, episode.commands
    period = contract.action.period * NANO
    skipped: Counter[str] = Counter()
    for reason, count in episode.rejected.items():
        if reason.startswith("command:"):
            skipped[reason] += count
    if not len(commands):
        skipped["no commands in the episode"] += 1
    first = -np.inf if episode.begin_ns is None else episode.begin_ns - _EVENT_SLACK
    last = np.inf if episode.end_ns is None else episode.end_ns + _EVENT_SLACK
    doubts = doubtful(episode.ticks, round(period))
    rows: list[tuple[Array, Array, Array, int]] = []
    dropped, zero = False, None
    for k, stamp in enumerate(commands.stamps.tolist()):
        if not first <= stamp < last:
            skipped["outside the episode"] += 1
            continue
        zero = stamp if zero is None else zero
        if k + 1 < len(commands) and commands.stamps[k + 1] < last:
            until = int(commands.stamps[k + 1])
        elif episode.end_ns is not None:
            # The last command counts if it was in force for a whole period.
            until = stamp + round(period)
            until = until if until <= last else episode.end_ns
        else:
            skipped["end of the episode"] += 1
            continue
        if abs(until - stamp - period) > PERIOD_TOLERANCE * period:
            at_end = k + 1 == len(commands) or commands.stamps[k + 1] >= last
            skipped["end of the episode" if at_end else "commands not one period apart"] += 1
            continue
        if doubt := reason_at(doubts, stamp, until):
            skipped[doubt] += 1
            continue
        before, why = state_at(episode, contract, stamp)
        if before is not None and (dropped or contract.task.dropped(before)):
            dropped = True
            skipped["after a drop"] += 1
            continue
        after, why_after = state_at(episode, contract, until) if before is not None else (None, why)
        if before is None or after is None:
            skipped[why or why_after] += 1
            continue
        rows.append((before, commands.values[k], after, round((stamp - zero) / period)))
    S, A = len(contract.task.state), len(contract.action)
    return Transitions(
        state=np.array([r[0] for r in rows]).reshape(-1, S),
        action=np.array([r[1] for r in rows]).reshape(-1, A),
        next_state=np.array([r[2] for r in rows]).reshape(-1, S),
        step=np.array([r[3] for r in rows], dtype=np.int64),
        key=episode.key,
        skipped=dict(skipped),
    )


def state_at(episode: Episode, contract: RobotContract, stamp: int) -> tuple[Array | None, str]:
    """State [S] at `stamp` (ns), or None and the reason why there is none.

    A sample must be younger than its source's maximal age, and than a control period: else one sample would serve as
    the state before and after a command, and teach that it did nothing.
    """
    parts = []
    for source in contract.sources:
        series = episode.sources[source.topic]
        at = series.newest(stamp + STAMP_SLACK)
        if at < 0:
            return None, f"no sample yet on {source.topic}"
        age = (stamp - int(series.stamps[at])) / NANO
        if age > source.max_age_s or age >= contract.action.period:
            return None, f"no fresh sample on {source.topic}"
        parts.append(series.values[at])
    return join_samples(contract, parts), ""
