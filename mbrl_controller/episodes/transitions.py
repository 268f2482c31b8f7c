# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Transitions of an episode, paired by stamps and never by order of arrival.

Transition k is (newest state at or before t_k, command stamped t_k, newest state at or before t_k+1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.contract.state_assembly import join_samples
from mbrl_controller.episodes.doubtful import doubtful, reason_at
from mbrl_controller.episodes.messages import NANO
from mbrl_controller.episodes.pairing import STAMP_SLACK, spans
from mbrl_controller.episodes.reader import Episode
from mbrl_controller.episodes.series import Stamps
from mbrl_controller.tasks.spaces import Array


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

    def only(self, rows: NDArray[np.int64], key: str, skipped: Mapping[str, int]) -> Transitions:
        """These rows of it, under another key."""
        return Transitions(self.state[rows], self.action[rows], self.next_state[rows], self.step[rows], key, skipped)


def transitions(episode: Episode) -> Transitions:
    """The episode's usable transitions; why the rest is not is in `skipped`."""
    contract, commands = episode.contract, episode.commands
    period = contract.action.period * NANO
    found = spans(commands.stamps, episode.begin_ns, episode.end_ns, period)
    skipped = Counter({why: n for why, n in episode.rejected.items() if why.startswith("command:")}) + found.skipped
    if not len(commands):
        skipped["no commands in the episode"] += 1
    before, no_before = states_at(episode, found.begin)
    after, no_after = states_at(episode, found.end)
    doubts = doubtful(episode.ticks, round(period))
    doubt = np.array([reason_at(doubts, *span) for span in zip(found.begin.tolist(), found.end.tolist(), strict=True)])
    trusted = (doubt == "") & (no_before == "")  # a drop that a state of doubtful origin shows is none
    lost = np.zeros(len(trusted), dtype=bool)
    lost[trusted] = np.logical_or.accumulate(contract.task.dropped(before[trusted]))
    why = np.where(doubt != "", doubt, np.where(no_before != "", no_before, np.where(lost, "after a drop", no_after)))
    skipped.update(
        {str(reason): int(n) for reason, n in zip(*np.unique(why, return_counts=True), strict=True) if reason}
    )
    good = why == ""
    return Transitions(
        state=before[good],
        action=commands.values[found.command[good]],
        next_state=after[good],
        step=np.round((found.begin[good] - found.zero) / period).astype(np.int64),
        key=episode.key,
        skipped=dict(skipped),
    )


def states_at(episode: Episode, stamps: Stamps) -> tuple[Array, NDArray[np.str_]]:
    """States [N, S] at `stamps` [N] (ns), and the reasons [N] why there are none: empty where there is one.

    A sample must be younger than its source's maximal age, and than a control period: else one sample would serve as
    the state before and after a command, and teach that it did nothing.
    """
    contract = episode.contract
    why = np.full(len(stamps), "", dtype=object)
    parts: list[Array] = []
    for source in contract.sources:
        series = episode.sources[source.topic]
        at = np.searchsorted(series.stamps, stamps + STAMP_SLACK, side="right") - 1
        missing = at < 0
        values = np.zeros((len(stamps), series.values.shape[1]))
        values[~missing] = series.values[at[~missing]]
        age = np.zeros(len(stamps))
        age[~missing] = (stamps[~missing] - series.stamps[at[~missing]]) / NANO
        old = (age > source.max_age_s) | (age >= contract.action.period)
        why[(why == "") & missing] = f"no sample yet on {source.topic}"
        why[(why == "") & old] = f"no fresh sample on {source.topic}"
        parts.append(values)
    return join_samples(contract, parts), why.astype(str)
