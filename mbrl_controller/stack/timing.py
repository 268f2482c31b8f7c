# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Timing of the control loop, from the rows that the controller publishes; in bounded memory."""

from __future__ import annotations

import math
from typing import Any

from mbrl_controller.control.timing import LoopStatistics

PERCENTILES = {"p50": "p50", "p99": "p99", "p99_9": "p999", "max": "max"}  # name in a report: in a Summary


class LoopTimingStats:
    """Add rows on one thread, read on any. `period` (s) is the loop's."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._statistics = LoopStatistics(period)
        self._late_plans = 0
        self._first = self._last = math.nan  # s, stamps
        self._lateness, self._missed = math.nan, 0  # of the previous row
        self._worst: float | None = None  # lateness since `take_worst_ms`, s

    def add(self, row: dict[str, float]) -> None:
        """Add the row of one tick."""
        s, lateness, missed = self._statistics, row["lateness"], int(row["missed_ticks"])
        if not s.ticks:
            self._first = row["stamp"]
        else:
            s.period.add((1 + missed - self._missed) * self._period + lateness - self._lateness)
        s.lateness.add(lateness)
        if math.isfinite(row["previous_execution"]):
            s.execution.add(row["previous_execution"])
        self._last, self._lateness, self._missed = row["stamp"], lateness, missed
        self._worst = lateness if self._worst is None else max(self._worst, lateness)
        self._late_plans = int(row["late_plans"])
        s.missed = missed
        s.ticks += 1

    @property
    def seconds(self) -> float:
        """Time from the first tick to the end of the last one's period, s."""
        return self._last - self._first + self._period if self._statistics.ticks else 0.0

    def take_worst_ms(self) -> float | None:
        """The greatest lateness since the previous call, ms; None if there was no tick."""
        worst, self._worst = self._worst, None
        return None if worst is None else 1e3 * worst

    def counts(self) -> dict[str, int]:
        """Ticks, missed ticks and late plans so far; `rows_lost`: ticks whose row was not received."""
        s = self._statistics
        ticks, missed = s.ticks, s.missed
        span = round(self.seconds / self._period)
        return {
            "ticks": ticks,
            "missed": missed,
            "late_plans": self._late_plans,
            "rows_lost": max(0, span - ticks - missed),
        }

    def summary(self) -> dict[str, Any]:
        """The counts, and `<lateness, execution, period>_<p50, p99, p99_9, max>_ms`; NaN without ticks."""
        figures: dict[str, Any] = dict(self.counts())
        for name in ("lateness", "execution", "period"):
            found = getattr(self._statistics, name).summary()
            figures |= {f"{name}_{key}_ms": 1e3 * getattr(found, value) for key, value in PERCENTILES.items()}
        return figures
