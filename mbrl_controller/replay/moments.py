# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where on an episode's time line something happened that one wants to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.episodes.ros_messages import NANO
from mbrl_controller.replay.recording import Recording
from mbrl_controller.reports.figures import disagreement_limit, safety_events, ticks_of
from mbrl_controller.reports.session import EpisodeDigest
from mbrl_controller.tasks.spaces import Mask

Kind = Literal["begin", "drop", "hold", "disagreement", "late plan", "end"]
KINDS: tuple[Kind, ...] = get_args(Kind)
HIGH = 0.95  # quantile of an episode's disagreement above which it is high in any case
LATE = 2  # `source` of a tick: the previous plan, because the new one came too late
SPACING_S = 1e-3  # s within which two times are one


@dataclass(frozen=True)
class Moment:
    """`time` in s since the episode's begin; `text` in words."""

    time: float
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.time:.2f} s {self.kind}{': ' if self.text else ''}{self.text}"


def find_moments(recording: Recording) -> tuple[Moment, ...]:
    """All of an episode's, by time."""
    end = Moment(recording.duration, "end", recording.end_reason or "the log ends")
    found = [Moment(0.0, "begin", ""), *_holds(recording), *_disagreements(recording), *_late(recording), end]
    if (drop := _drop(recording)) is not None:
        found.append(drop)
    return tuple(sorted(found, key=lambda moment: (moment.time, KINDS.index(moment.kind))))


def next_moment(
    moments: tuple[Moment, ...], time: float, kind: Kind | None = None, *, backwards: bool = False
) -> Moment | None:
    """The nearest one after `time` (before it, `backwards`), of a kind or of any; None if there is none."""
    of_kind = [moment for moment in moments if kind is None or moment.kind == kind]
    if backwards:
        return next((m for m in reversed(of_kind) if m.time < time - SPACING_S), None)
    return next((m for m in of_kind if m.time > time + SPACING_S), None)


def limit_of(recording: Recording) -> float | None:
    """Limit of the disagreement above which the controller held; None where the log does not say."""
    return disagreement_limit([_digest(recording)])


def _drop(recording: Recording) -> Moment | None:
    """When the object was lost: the end of an episode that ended so, else the first state that counts as lost."""
    times = recording.commands
    states = recording.states_at(times)
    known = np.isfinite(states).all(axis=1)
    lost = np.zeros(len(times), dtype=bool)
    lost[known] = recording.contract.task.dropped(states[known])
    if lost.any():
        return Moment(float(times[np.argmax(lost)]), "drop", "the object is lost")
    return Moment(recording.duration, "drop", "the object is lost") if recording.end_reason == "drop" else None


def _holds(recording: Recording) -> Iterator[Moment]:
    digest = _digest(recording)
    for event in safety_events([digest], ticks_of([digest])):
        time = event.stamp - recording.zero / NANO
        if 0 <= time < recording.duration - SPACING_S:  # between two episodes the controller holds, too
            yield Moment(time, "hold", f"{event.state.replace('_', ' ')}: {event.reason or 'no reason was logged'}")


def _disagreements(recording: Recording) -> Iterator[Moment]:
    """The highest tick of each stretch above the limit, or among the highest of the episode."""
    values, times = recording.ticks.get("disagreement", np.empty(0)), recording.tick_times
    known = np.isfinite(values)
    if not known.any() or float(np.nanmax(values)) <= 0:
        return
    limit = limit_of(recording)
    threshold = float(np.quantile(values[known], HIGH))
    threshold = threshold if limit is None else min(threshold, limit)
    for rows in _stretches(np.where(known, values, -np.inf) >= threshold):
        top = rows[int(np.argmax(values[rows]))]
        of = "" if limit is None else f", limit {limit:.3g}"
        if 0 <= times[top] <= recording.duration:
            yield Moment(float(times[top]), "disagreement", f"{values[top]:.3g}{of}")


def _late(recording: Recording) -> Iterator[Moment]:
    sources = recording.ticks.get("source", np.empty(0))
    for rows in _stretches(sources == LATE):
        many = f"{len(rows)} in a row" if len(rows) > 1 else ""
        if (time := float(recording.tick_times[rows[0]])) >= 0:
            yield Moment(time, "late plan", many)


def _stretches(marked: Mask) -> list[NDArray[np.intp]]:
    """Indices of each run of marked rows."""
    rows = np.flatnonzero(marked)
    return [run for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(run)]


def _digest(recording: Recording) -> EpisodeDigest:
    return EpisodeDigest(recording.episode.path, "complete", ticks=recording.episode.ticks, statuses=recording.statuses)
