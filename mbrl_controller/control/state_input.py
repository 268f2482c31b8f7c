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
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.sources import Source
from mbrl_controller.contract.state_assembly import StateAssembler, join_samples
from mbrl_controller.control.steps import Observation
from mbrl_controller.tasks.spaces import Array

UNSTAMPED = "header.stamp is 0; the driver must stamp with the time of measurement"
LONG_AGO_S = 60.0  # an age beyond this is no delay: a stamp by another clock


@dataclass
class Rejections:
    """Messages that were rejected, by source, and what was wrong with the last one."""

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
        on_complete: called when every source has sent all of its period since the last call.
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
        self._ended: set[str] = set()  # sources that repeated their newest measurement: no more come in this period
        self._since = -math.inf  # s; messages received before are ignored
        self._rejections = rejections or Rejections()
        for source in contract.sources:
            self._rejections.counts.setdefault(source.key, 0)

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
            self._ended.clear()

    def receive(self, key: str, message: Any, now: float, clock: float | None = None) -> None:
        """Take in a message of a source.

        Args:
            key: of the source.
            message: of its type.
            now: s, time.monotonic, of its receipt.
            clock: the same by the stamps' clock, s; None in lockstep, where it means nothing.
        """
        with self._lock:
            if now < self._since or self._assembler.readers[key].locate(message) is None:
                return
            self._heard[key] = now
            newest = self._assembler.samples.get(key)
            try:
                sample = self._assembler.update(key, message, clock)
                self._problem.pop(key, None)
                if sample is not None and sample.is_newer(newest):
                    self._received[key] = now
                    self._ended.discard(key)
                elif sample is not None:
                    self._ended.add(key)
            except MessageError as error:
                self._reject(key, error)
                self._problem[key] = str(error)
            self._fresh.add(key)
            complete = self._is_complete()
            if complete:
                self._fresh.clear()
                self._ended.clear()
        if complete and self._on_complete is not None:
            self._on_complete()

    def receive_frames(self, message: Any) -> None:
        """Take in a message of /tf_static."""
        with self._lock:
            try:
                self._assembler.frames.take(message)
            except MessageError as error:
                self._reject(TF_STATIC, error)

    def _reject(self, key: str, error: MessageError) -> None:
        self._rejections.last = str(error)
        self._rejections.counts[key] = self._rejections.counts.get(key, 0) + 1

    def _is_complete(self) -> bool:
        """Whether all sources have sent, and nothing more is to be expected in this period.

        A source whose velocity is derived sends several measurements in a period. The last one is as new as all
        others', or it is repeated.
        """
        if len(self._fresh) < len(self.contract.sources):
            return False
        stamps = {key: sample.stamp for key, sample in self._assembler.samples.items()}
        plain = [s.key for s in self.contract.sources if not s.derived]
        end = max((stamps[key] for key in plain if key in stamps), default=math.inf)
        return all(
            key in self._ended or key in self._problem or stamps.get(key, -math.inf) >= end
            for key in self._fresh.difference(plain)
        )

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
                stamped = self._assembler.samples[source.key].stamp
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
            early = self._assembler.samples[source.key].stamp - clock
            if early > source.max_age_s:
                ahead[source.key] = early
                self._assembler.forget(source.key)
        for topic, early in ahead.items():
            raise MessageError(f"{topic}: stamped {early:.2f} s in the future; are the clocks in step?")

    def _refuse_silence(self, source: Source, now: float) -> None:
        limit, topic = self.contract.max_silence(source), source.key
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
            sample = self._assembler.samples[source.key]
            parts.append(np.full(len(sample.values), sample.stamp))
        return join_samples(self.contract, parts)

    @property
    def newest_stamp(self) -> float | None:
        """The newest measurement's time (s), None before the first."""
        with self._lock:
            return max((sample.stamp for sample in self._assembler.samples.values()), default=None)

    @property
    def rejected(self) -> dict[str, int]:
        """Messages rejected, by source."""
        return self._rejections.counts

    @property
    def last_rejection(self) -> str:
        """What was wrong with the last one; empty before the first."""
        return self._rejections.last

    @property
    def rejected_total(self) -> int:
        """Messages rejected."""
        return sum(self.rejected.values())
