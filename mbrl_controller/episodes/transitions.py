# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Transitions of an episode, paired by stamps, never by order of arrival.

Transition k is (newest state at or before t_k, command stamped t_k, newest state at or before t_k+1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.contract.state_assembly import join_samples
from mbrl_controller.episodes.bridging import Bridge, Periods, bridged
from mbrl_controller.episodes.command_intervals import STAMP_SLACK, Stamps, command_intervals
from mbrl_controller.episodes.exclusions import exclusion_reason, find_exclusions
from mbrl_controller.episodes.reader import Episode
from mbrl_controller.episodes.ros_messages import NANO
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class Transitions:
    """Rows (state, action, next state), SI units; actions are joint targets (rad)."""

    state: Array  # [T, S]
    action: Array  # [T, A]
    next_state: Array  # [T, S]
    step: NDArray[np.int64]  # [T] tick within the episode; rows across a gap are not consecutive
    key: str  # permanent name of the episode
    skipped: Mapping[str, int]  # reason -> commands that gave no transition

    def __len__(self) -> int:
        return len(self.step)

    def only(self, rows: NDArray[np.int64], key: str, skipped: Mapping[str, int]) -> Transitions:
        """These rows, under another key."""
        return Transitions(self.state[rows], self.action[rows], self.next_state[rows], self.step[rows], key, skipped)


@dataclass(frozen=True)
class UsedPeriods:
    """The control periods of an episode that can be used, in order of time; SI units, times in ns."""

    begin: Stamps  # [T]
    end: Stamps  # [T] the next one's begin, if that is used as well and nothing lies between
    state: Array  # [T, S] at `begin`
    action: Array  # [T, A] joint targets (rad)
    next_state: Array  # [T, S] at `end`
    zero: int  # stamp of the episode's first command; 0 without one
    skipped: Mapping[str, int]  # reason -> commands that gave no transition
    bridged: int = 0  # states that were not measured but filled in

    def __len__(self) -> int:
        return len(self.begin)


def transitions(episode: Episode) -> Transitions:
    """The episode's usable transitions; `skipped` counts the rest by reason."""
    used = used_periods(episode)
    step = np.round((used.begin - used.zero) / (episode.contract.action.period * NANO)).astype(np.int64)
    return Transitions(used.state, used.action, used.next_state, step, episode.key, used.skipped)


def used_periods(episode: Episode, bridge: Bridge | None = None) -> UsedPeriods:
    """The control periods whose command, and the states before and after it, are known and fit to learn from.

    `bridge`: fills states that were not measured; None: such periods are left out.
    """
    contract, commands = episode.contract, episode.commands
    period = contract.action.period * NANO
    intervals = command_intervals(commands.stamps, episode.begin_ns, episode.end_ns, period)
    skipped = Counter({why: n for why, n in episode.rejected.items() if why.startswith("command:")}) + intervals.skipped
    if not len(commands):
        skipped["no commands in the episode"] += 1
    before, no_before = states_at(episode, intervals.begin)
    after, no_after = states_at(episode, intervals.end)
    exclusions = [*find_exclusions(episode.ticks, round(period)), *episode.doubtful]
    spans = zip(intervals.begin.tolist(), intervals.end.tolist(), strict=True)
    excluded = np.array([exclusion_reason(exclusions, *span) for span in spans])
    filled = 0
    if bridge is not None:
        actions, known = commands.values[intervals.index], (no_before == "", no_after == "")
        log = Periods(intervals.begin, intervals.end, actions, before, after, *known, excluded == "")
        log, filled = bridged(bridge, log)
        before, after = log.before, log.after
        no_before, no_after = (np.where(k, "", why) for k, why in
                               ((log.known_before, no_before), (log.known_after, no_after)))  # fmt: skip
    trusted = (excluded == "") & (no_before == "")  # a drop seen in an untrusted state is none
    lost = np.zeros(len(trusted), dtype=bool)
    lost[trusted] = np.logical_or.accumulate(contract.task.dropped(before[trusted]))
    why = np.where(
        excluded != "", excluded, np.where(no_before != "", no_before, np.where(lost, "after a drop", no_after))
    )
    skipped.update(
        {str(reason): int(n) for reason, n in zip(*np.unique(why, return_counts=True), strict=True) if reason}
    )
    good = why == ""
    return UsedPeriods(
        begin=intervals.begin[good],
        end=intervals.end[good],
        state=before[good],
        action=commands.values[intervals.index[good]],
        next_state=after[good],
        zero=intervals.zero,
        skipped=dict(skipped),
        bridged=filled,
    )


def states_at(episode: Episode, stamps: Stamps) -> tuple[Array, NDArray[np.str_]]:
    """States [N, S] at `stamps` [N] (ns), and why each is missing [N]: empty if it is not.

    A sample must be younger than its source's maximum age and than a control period. Otherwise one sample would be the
    state before and after a command, and teach that the command did nothing.
    """
    contract = episode.contract
    why = np.full(len(stamps), "", dtype=object)
    parts: list[Array] = []
    for source in contract.sources:
        series = episode.sources[source.key]
        at = np.searchsorted(series.stamps, stamps + STAMP_SLACK, side="right") - 1
        missing = at < 0
        values = np.zeros((len(stamps), series.values.shape[1]))
        values[~missing] = series.values[at[~missing]]
        age = np.zeros(len(stamps))
        age[~missing] = (stamps[~missing] - series.stamps[at[~missing]]) / NANO
        old = (age > source.max_age_s) | (age >= contract.action.period)
        why[(why == "") & missing] = f"no sample yet on {source.key}"
        why[(why == "") & old] = f"no fresh sample on {source.key}"
        parts.append(values)
    return join_samples(contract, parts), why.astype(str)
