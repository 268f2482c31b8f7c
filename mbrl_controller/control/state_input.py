# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sensor data between the thread that receives it and the thread that plans on it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.sources import Source
from mbrl_controller.contract.state_assembly import StateAssembler, join_samples
from mbrl_controller.control.steps import Observation
from mbrl_controller.tasks.spaces import Array

UNSTAMPED = "header.stamp is 0; the driver must stamp with the time of measurement"
LONG_AGO_S = 60.0  # an age beyond this is no delay: a stamp by another clock


@dataclass
class Rejections:
    """Messages that were rejected, by topic, and what was wrong with the last one."""

    counts: dict[str, int] = field(default_factory=dict)
    last: str = ""


class StateInput:
    """The newest state, unless something is wrong with it. Thread-safe.

    Age is checked twice. The time of receipt of the newest measurement (steady clock) shows at once that a source is
    silent, whatever the clocks say. Its stamp shows a source that is always late. A measurement that is repeated, or
    older than the newest, is not used and does not count as received.
    """

    def __init__(
        self,
        contract: RobotContract,
        on_complete: Callable[[], None] | None = None,
        rejections: Rejections | None = None,
    ) -> None:
        """Args:
        contract: names the sources.
        on_complete: called when every source has sent since the last call.
        rejections: the counts so far; None: start from zero.
        """
        self.contract = contract
        self._assembler = StateAssembler(contract)
        self._on_complete = on_complete
        self._lock = threading.Lock()
        self._heard: dict[str, float] = {}  # the last message, s
        self._received: dict[str, float] = {}  # the newest measurement, s
        self._problem: dict[str, str] = {}
        self._fresh: set[str] = set()
        self._since = -math.inf  # s; messages received before are ignored
        self._rejections = rejections or Rejections()
        for source in contract.sources:
            self._rejections.counts.setdefault(source.topic, 0)

    def reset(self, since: float = -math.inf) -> None:
        """Forget what has arrived; no state is known until every source has sent again. Messages received before
        `since` (s, time.monotonic) are ignored."""
        with self._lock:
            self._since = max(self._since, since)
            self._assembler.reset()
            self._heard.clear()
            self._received.clear()
            self._problem.clear()
            self._fresh.clear()

    def receive(self, topic: str, message: Any, now: float) -> None:
        """Take in a message of a source, received at `now` (s, time.monotonic)."""
        with self._lock:
            if now < self._since:
                return
            self._heard[topic] = now
            newest = self._assembler.samples.get(topic)
            try:
                sample = self._assembler.update(topic, message)
                self._problem.pop(topic, None)
                if newest is None or sample.stamp > newest.stamp:
                    self._received[topic] = now
            except MessageError as error:
                self._problem[topic] = self._rejections.last = str(error)
                self._rejections.counts[topic] += 1
            self._fresh.add(topic)
            complete = len(self._fresh) == len(self.contract.sources)
            if complete:
                self._fresh.clear()
        if complete and self._on_complete is not None:
            self._on_complete()

    def observation(self, now: float | None, clock: float | None) -> Observation:
        """The newest state; raises MessageError saying why there is none to plan on.

        Ages count up to `now` (s, time.monotonic) and `clock` (s, the stamps' clock); None: not checked.
        """
        with self._lock:
            if self._problem:
                raise MessageError(next(iter(self._problem.values())))
            state, stamp = self._assembler.vector()
            if clock is not None:
                self._refuse_the_future(clock)
            for source in self.contract.sources:
                stamped = self._assembler.samples[source.topic].stamp
                age = -math.inf if clock is None else clock - stamped
                if stamped == 0.0 and age > source.max_age_s:
                    # Reported before the silence that follows: the next stamp is no newer.
                    raise MessageError(f"{source.topic}: unstamped: {UNSTAMPED}")
                if now is not None:
                    self._refuse_silence(source, now)
                if age > source.max_age_s:
                    clocks = "; are the clocks in step?" if age > LONG_AGO_S else ""
                    raise MessageError(
                        f"{source.topic}: measured {age:.2f} s ago, more than {source.max_age_s} s{clocks}"
                    )
            return Observation(state, stamp, self._stamps() - stamp)

    def _refuse_the_future(self, clock: float) -> None:
        """Forget measurements from the future: they would shut out all later ones until their time has come."""
        ahead = {}
        for source in self.contract.sources:
            early = self._assembler.samples[source.topic].stamp - clock
            if early > source.max_age_s:
                ahead[source.topic] = early
                self._assembler.forget(source.topic)
        for topic, early in ahead.items():
            raise MessageError(f"{topic}: stamped {early:.2f} s in the future; are the clocks in step?")

    def _refuse_silence(self, source: Source, now: float) -> None:
        limit, topic = self.contract.max_silence(source), source.topic
        silent = now - self._received[topic]
        if silent > limit:
            others = now - self._heard[topic] <= limit
            raise MessageError(
                f"{topic}: nothing newer received for {silent:.2f} s, only repeated or older stamps"
                if others
                else f"{topic}: nothing received for {silent:.2f} s"
            )

    def _stamps(self) -> Array:
        """When each entry of the state [S] was measured (s)."""
        parts = []
        for source in self.contract.sources:
            sample = self._assembler.samples[source.topic]
            parts.append(np.full(len(sample.values), sample.stamp))
        return join_samples(self.contract, parts)

    @property
    def newest_stamp(self) -> float | None:
        """The newest measurement's time (s), None before the first."""
        with self._lock:
            return max((sample.stamp for sample in self._assembler.samples.values()), default=None)

    @property
    def rejected(self) -> dict[str, int]:
        """Messages rejected, by topic."""
        return self._rejections.counts

    @property
    def last_rejection(self) -> str:
        """What was wrong with the last one; empty before the first."""
        return self._rejections.last

    @property
    def rejected_total(self) -> int:
        """Messages rejected."""
        return sum(self.rejected.values())
