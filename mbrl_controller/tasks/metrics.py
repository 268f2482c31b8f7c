# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a task measures of an episode, and the figures that follow for many: whatever prints one gets it from here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.deprecated import new_name
from mbrl_controller.tasks.spaces import Array, Mask

# Fields that EpisodeMetrics had of each task, whether it made sense there or not.
OLD_NAMES = ("degrees_turned", "goal_error", "final_goal_error")
RENAMED = {"extra": "values", **{name: f"values[{name!r}]" for name in OLD_NAMES}}
# Figures that all tasks have.
SHARED = ("return_mean", "kept_rate", "goal_rate")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Metric:
    """A number that a task measures of each episode.

    Over episodes it gives the figure `<name>_median`, and for each of `levels` `success_<level>`: the share of
    episodes that kept the object and reached the level, upwards or downwards as `better` says.

    Attributes:
        name: lower case and underscores, as in JSON files.
        unit: SI or deg; empty: none.
        better: whether more ("up") or less ("down") of it is better; empty: neither.
        levels: values that count as success; they need a direction.
        drawn: shown while a task is learnt, and drawn in its curves.
        decimals: shown of a value.
        description: what it is, in a few words.
    """

    name: str
    unit: str = ""
    better: Literal["up", "down", ""] = ""
    levels: tuple[float, ...] = ()
    drawn: bool = True
    decimals: int = 2
    description: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"metric {self.name!r}: a name has lower-case letters, digits and underscores")
        if self.better not in ("up", "down", ""):
            raise ValueError(f"metric {self.name}: better is 'up', 'down' or '', got {self.better!r}")
        if self.levels and not self.better:
            raise ValueError(f"metric {self.name}: levels need better='up' or 'down'")

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def median_key(self) -> str:
        """The figure's key in reports."""
        return f"{self.name}_median"

    def level_key(self, level: float) -> str:
        """The key in reports of the share that reached `level`."""
        return f"success_{level:g}"

    def level_text(self, level: float) -> str:
        """Such as `>=90 deg`."""
        return f"{'>=' if self.better == 'up' else '<='}{level:g} {self.unit}".rstrip()

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.{self.decimals}f} {self.unit}".rstrip()

    def reached(self, values: Array, level: float) -> Mask:
        """Whether each value [n] reaches `level`; NaN does not."""
        return np.asarray(values >= level if self.better == "up" else values <= level)

    def figure_keys(self) -> list[str]:
        """The keys of its figures in reports."""
        return [self.median_key, *map(self.level_key, self.levels)]


@dataclass(frozen=True, init=False)
class EpisodeMetrics:
    """What came of one episode: what all tasks have, and `values` of the task's own metrics by name.

    `goal_reached` is the task's word for success. A metric that has no value in this episode is left out or NaN.
    """

    episode_return: float
    time_kept: float  # s until the drop, or the whole episode
    dropped: bool
    goal_reached: bool
    values: Mapping[str, float]

    def __init__(
        self,
        *,
        episode_return: float,
        time_kept: float,
        dropped: bool,
        goal_reached: bool,
        values: Mapping[str, float] | None = None,
        **old: Any,
    ) -> None:
        found = dict(values or {})
        for name, value in old.items():
            if name not in RENAMED:
                raise TypeError(f"EpisodeMetrics has no field {name!r}; a task's own metrics are `values`")
            new_name(name, RENAMED, "EpisodeMetrics: ")
            found |= value if name == "extra" else {name: value} if np.isfinite(value) else {}
        fields = {"episode_return": episode_return, "time_kept": time_kept, "dropped": dropped}
        for name, value in {**fields, "goal_reached": goal_reached, "values": found}.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """Old fields, for one release."""
        if name not in RENAMED:
            raise AttributeError(f"EpisodeMetrics has no field {name!r}")
        new_name(name, RENAMED, "EpisodeMetrics: ")
        return self.values if name == "extra" else self.values.get(name, float("nan"))


def with_undeclared(specs: Sequence[Metric], names: Iterable[str]) -> tuple[Metric, ...]:
    """`specs`, and plain metrics for the `names` that they lack, so that no value is lost."""
    known = {metric.name for metric in specs}
    return (*specs, *(Metric(name) for name in dict.fromkeys(names) if name not in known))


def measured(specs: Sequence[Metric], metrics: Sequence[EpisodeMetrics]) -> tuple[Metric, ...]:
    """The metrics of these episodes: those declared, and those that a task returns without declaring them."""
    return with_undeclared(specs, (name for m in metrics for name in m.values))


def texts(specs: Sequence[Metric], metrics: EpisodeMetrics) -> list[str]:
    """What came of one episode in words, such as `degrees turned 213 deg`; metrics without a value are left out."""
    values = {metric: metrics.values.get(metric.name, np.nan) for metric in measured(specs, [metrics])}
    return [f"{metric.label} {metric.text(value)}" for metric, value in values.items() if np.isfinite(value)]


def samples(specs: Sequence[Metric], metrics: Sequence[EpisodeMetrics]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The key of each figure over episodes, and what it is taken from.

    Of a median, the values [n] of the episodes that have one; of a share, whether each episode [n] reached the level
    and kept the object.
    """
    kept = np.array([not m.dropped for m in metrics])
    for metric in measured(specs, metrics):
        values = np.array([m.values.get(metric.name, np.nan) for m in metrics], dtype=float)
        yield metric.median_key, values[np.isfinite(values)]
        for level in metric.levels:
            yield metric.level_key(level), kept & metric.reached(values, level)


def figures(specs: Sequence[Metric], metrics: Sequence[EpisodeMetrics]) -> dict[str, float]:
    """The figures of all metrics over episodes, by key; none for a metric that has no value in any of them."""
    found = {key: (np.mean if of.dtype == bool else np.median)(of) for key, of in samples(specs, metrics) if len(of)}
    return {key: float(value) for key, value in found.items()}


def direction(specs: Sequence[Metric], key: str) -> int:
    """1 where more of the figure `key` is better, -1 where less is; raises ValueError where nobody says."""
    ways = dict.fromkeys(SHARED, 1)
    for metric in specs:
        ways |= dict.fromkeys(map(metric.level_key, metric.levels), 1)
        ways |= {metric.median_key: 1 if metric.better == "up" else -1} if metric.better else {}
    if key not in ways:
        raise ValueError(f"{key!r} is no figure that is better up or down; known: {', '.join(ways)}")
    return ways[key]


def specs_in(report: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics that a report names under `metrics`; none in a report of an earlier release."""
    return tuple(Metric(**{**entry, "levels": tuple(entry["levels"])}) for entry in report.get("metrics", ()))


def specs_as_data(specs: Sequence[Metric]) -> list[dict[str, Any]]:
    """The metrics as plain data for a report."""
    return [asdict(metric) for metric in specs]


def check_specs(specs: object) -> None:
    """Raises ValueError unless `specs` are metrics whose figures have keys of their own."""
    if not isinstance(specs, tuple) or not all(isinstance(metric, Metric) for metric in specs):
        raise ValueError("metric_specs must be a tuple of tasks.metrics.Metric")
    keys = [*SHARED, "plan_ms_median", *(key for metric in specs for key in metric.figure_keys())]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"metric_specs: two metrics give the figure {', '.join(twice)}")
