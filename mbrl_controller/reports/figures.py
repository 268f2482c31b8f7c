# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The numbers of a report: of metrics, timing, safety, disagreement and commands, over some episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.reports.session import STATES, EpisodeDigest
from mbrl_controller.rollouts.statistics import bootstrap, wilson
from mbrl_controller.tasks.metrics import EpisodeMetrics, Metric, measured, samples
from mbrl_controller.tasks.spaces import Array

EVENTS = ("holding", "stopped", "handed_over")  # states that a report lists
REASON_WITHIN_S = 1.1  # the controller tells its status once a second and at a change
AT_LIMIT = 0.01  # of a joint's range: so near a limit counts as at it
AT_RATE = 0.98  # of what the rate allows in a period
NAN = float("nan")


@dataclass(frozen=True)
class Figure:
    """One number over n values, with its 95 % interval (NaN: none)."""

    label: str
    value: float
    low: float = NAN
    high: float = NAN
    n: int = 0
    unit: str = ""
    share: bool = False  # shown in percent
    decimals: int = 2


@dataclass(frozen=True)
class SafetyEvent:
    """A time in which the plan's commands were not followed."""

    file: str
    stamp: float  # s, its first tick
    seconds: float  # from there to its last tick
    state: str
    reason: str  # empty: not logged


@dataclass(frozen=True)
class JointUse:
    """Commands of a joint against its limits; positions in rad. NaN where nothing was commanded or measured."""

    name: str
    lower: float
    upper: float
    commanded: tuple[float, float, float, float, float]  # least, 5 %, median, 95 %, most
    at_lower: float  # share of the commands
    at_upper: float
    rate: float  # the most, as a share of what `max_rate` allows from the measured position
    at_rate: float  # share of the commands


def specs(episodes: Sequence[EpisodeDigest], contract: RobotContract) -> tuple[Metric, ...]:
    """The metrics that these episodes have."""
    return measured(contract.task.metric_specs, metrics_of(episodes))


def metrics_of(episodes: Iterable[EpisodeDigest]) -> list[EpisodeMetrics]:
    """Of the episodes that have them."""
    return [e.metrics for e in episodes if e.metrics is not None]


def metric_figures(episodes: Sequence[EpisodeDigest], contract: RobotContract) -> list[Figure]:
    """Return, kept, goal and the task's metrics with their levels, as `mbrl evaluate` counts them."""
    metrics = metrics_of(episodes)
    if not metrics:
        return []
    found = [
        _typical("return, mean", [m.episode_return for m in metrics], np.mean),
        _typical("time kept, median", [m.time_kept for m in metrics], np.median, unit="s"),
        _share("kept", [not m.dropped for m in metrics]),
        _share("goal reached", [m.goal_reached for m in metrics]),
    ]
    by_key = dict(samples(contract.task.metric_specs, metrics))
    for metric in specs(episodes, contract):
        values = by_key[metric.median_key]
        label = f"{metric.label}, median"
        found.append(_typical(label, values, np.median, unit=metric.unit, decimals=metric.decimals))
        found += [
            _share(f"{metric.label} {metric.level_text(level)}, kept", by_key[metric.level_key(level)])
            for level in metric.levels
        ]
    return found


def _typical(label: str, values: Any, statistic: Any, unit: str = "", decimals: int = 2) -> Figure:
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Figure(label, NAN, unit=unit)
    return Figure(label, float(statistic(finite)), *bootstrap(finite, statistic), len(finite), unit, decimals=decimals)


def _share(label: str, hits: Any) -> Figure:
    hits = np.asarray(hits, dtype=bool)
    return Figure(label, float(hits.mean()), *wilson(int(hits.sum()), len(hits)), len(hits), share=True)


def ticks_of(episodes: Sequence[EpisodeDigest]) -> dict[str, Array]:
    """Columns [K] of all ticks, each once, with `file`, the index of its episode.

    Files overlap, because each begins a little before its episode. A label that a file lacks is NaN there.
    """
    with_ticks = [(i, e.ticks) for i, e in enumerate(episodes) if len(e.ticks)]
    labels = dict.fromkeys(label for _, ticks in with_ticks for label in ticks)
    sizes = {i: len(next(iter(ticks.values()))) for i, ticks in with_ticks}
    table = {
        label: np.concatenate([ticks.get(label, np.full(sizes[i], NAN)) for i, ticks in with_ticks]) for label in labels
    }
    if not table:
        return {}
    table["file"] = np.concatenate([np.full(sizes[i], float(i)) for i, _ in with_ticks])
    size = len(table["file"])
    stamps, epochs = table.get("stamp", np.arange(size)), table.get("epoch", np.zeros(size))
    _, first = np.unique(np.stack([np.nan_to_num(epochs), stamps]), axis=1, return_index=True)
    first = np.sort(first) if "stamp" in table else np.arange(size)
    return {label: column[first] for label, column in table.items()}


def timing_figures(ticks: Mapping[str, Array]) -> list[tuple[str, Figure, Figure, Figure]]:
    """(what, p50, p99, maximum) in ms of lateness, execution and plan; what was not logged is left out."""
    names = {"lateness": "lateness", "previous_execution": "execution", "plan_duration": "plan"}
    found = []
    for label, what in names.items():
        values = 1e3 * finite(ticks.get(label))
        if len(values):
            n = len(values)
            quantiles = [float(v) for v in np.percentile(values, [50, 99, 100])]
            p50, p99, most = (Figure(what, v, n=n, unit="ms") for v in quantiles)
            found.append((what, p50, p99, most))
    return found


def counted(ticks: Mapping[str, Array], label: str) -> int:
    """How much a counter of the ticks rose within the log; it begins anew with each activation."""
    values = finite(ticks.get(label))
    return int(np.clip(np.diff(values), 0, None).sum()) if len(values) > 1 else 0


def finite(values: Array | None) -> Array:
    """Those that are numbers."""
    return np.empty(0) if values is None else values[np.isfinite(values)]


def safety_events(episodes: Sequence[EpisodeDigest], ticks: Mapping[str, Array]) -> list[SafetyEvent]:
    """Each time the safety held, stopped or handed over, with the reason that the controller gave."""
    if "safety_state" not in ticks or "stamp" not in ticks:
        return []
    states, stamps, files = (ticks[name] for name in ("safety_state", "stamp", "file"))
    cuts = np.flatnonzero((np.diff(states) != 0) | (np.diff(files) != 0)) + 1
    statuses = sorted((s for e in episodes for s in e.statuses), key=lambda status: status.stamp)
    events = []
    for rows in np.split(np.arange(len(states)), cuts):
        number = states[rows[0]]
        if not (np.isfinite(number) and 0 <= number < len(STATES)) or STATES[int(number)] not in EVENTS:
            continue
        state, begin, end = STATES[int(number)], float(stamps[rows[0]]), float(stamps[rows[-1]])
        near = [s for s in statuses if s.state == state and begin - 0.05 <= s.stamp <= end + REASON_WITHIN_S]
        reason = "; ".join(dict.fromkeys(s.reason for s in near if s.reason))
        events.append(SafetyEvent(episodes[int(files[rows[0]])].path.name, begin, end - begin, state, reason))
    return events


def disagreement_limit(episodes: Sequence[EpisodeDigest]) -> float | None:
    """The last limit that the controller told; None where it has none, or told none."""
    told = [s.limit for e in episodes for s in e.statuses if s.limit is not None and np.isfinite(s.limit)]
    return told[-1] if told else None


def joint_uses(episodes: Sequence[EpisodeDigest], contract: RobotContract) -> list[JointUse]:
    """Of each commanded joint, over all commands."""
    action = contract.action
    width = len(action)
    rows = [e for e in episodes if e.commands.shape[1:] == (width,)]
    commands = np.concatenate([np.empty((0, width)), *(e.commands for e in rows)])
    measured_at = np.concatenate([np.empty((0, width)), *(e.measured for e in rows)])
    allowed = action.max_rate * action.period
    uses = []
    for i, name in enumerate(action.names):
        lower, upper = float(action.lower[i]), float(action.upper[i])
        sent = finite(commands[:, i])
        moved = finite(np.abs(commands[:, i] - measured_at[:, i]) / allowed[i])
        near = AT_LIMIT * (upper - lower)
        quantiles = np.percentile(sent, [0, 5, 50, 95, 100]).tolist() if len(sent) else [NAN] * 5
        uses.append(
            JointUse(
                name=name,
                lower=lower,
                upper=upper,
                commanded=(quantiles[0], quantiles[1], quantiles[2], quantiles[3], quantiles[4]),
                at_lower=_mean(sent <= lower + near),
                at_upper=_mean(sent >= upper - near),
                rate=float(moved.max()) if len(moved) else NAN,
                at_rate=_mean(moved >= AT_RATE),
            )
        )
    return uses


def _mean(hits: Any) -> float:
    return float(np.mean(hits)) if len(hits) else NAN
