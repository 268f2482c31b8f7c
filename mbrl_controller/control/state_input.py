"""What arrives from the sensors, between the thread that receives it and the thread that plans on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from mbrl_controller.control.core import Observation
from mbrl_controller.episodes.contract import RobotContract
from mbrl_controller.episodes.state_assembly import StateAssembler, join_samples
from mbrl_controller.errors import MessageError
from mbrl_controller.tasks.spaces import Array


class StateInput:
    """The newest state, unless something is wrong with it. Thread-safe.

    Age is watched twice: by the time of receipt (steady clock), which notices a silent source whatever the clocks
    say, and by the messages' stamps, which notices a source that keeps sending old measurements.
    """

    def __init__(self, contract: RobotContract, on_complete: Callable[[], None] | None = None) -> None:
        self.contract = contract
        self._assembler = StateAssembler(contract)
        self._on_complete = on_complete
        self._lock = threading.Lock()
        self._received: dict[str, float] = {}
        self._problem: dict[str, str] = {}
        self._fresh: set[str] = set()
        self.rejected = {source.topic: 0 for source in contract.sources}  # messages since the start
        self.last_rejection = ""

    def reset(self) -> None:
        """Forget what arrived so far; nothing is known until every source has sent again."""
        with self._lock:
            self._assembler.reset()
            self._received.clear()
            self._problem.clear()
            self._fresh.clear()

    def receive(self, topic: str, message: Any, now: float) -> None:
        """Take in a message of a source, received at `now` (s, time.monotonic)."""
        with self._lock:
            self._received[topic] = now
            try:
                self._assembler.update(topic, message)
                self._problem.pop(topic, None)
            except MessageError as error:
                self._problem[topic] = self.last_rejection = str(error)
                self.rejected[topic] += 1
            self._fresh.add(topic)
            complete = len(self._fresh) == len(self.rejected)
            if complete:
                self._fresh.clear()
        if complete and self._on_complete is not None:
            self._on_complete()

    def observation(self, now: float | None, clock: float | None) -> Observation:
        """The newest state; raises MessageError saying why there is none to plan on.

        `now` (s, time.monotonic) and `clock` (s, the stamps' clock) are what ages are counted from; None: not checked.
        """
        with self._lock:
            if self._problem:
                raise MessageError(next(iter(self._problem.values())))
            state, stamp = self._assembler.vector()
            for source in self.contract.sources:
                if now is not None:
                    silent = now - self._received[source.topic]
                    if silent > source.max_age_s:
                        raise MessageError(f"{source.topic}: nothing received for {silent:.2f} s")
                if clock is not None:
                    age = clock - self._assembler.samples[source.topic].stamp
                    if age > source.max_age_s:
                        raise MessageError(f"{source.topic}: measured {age:.2f} s ago, more than {source.max_age_s} s")
                    if age < -source.max_age_s:
                        raise MessageError(
                            f"{source.topic}: stamped {-age:.2f} s in the future; are the clocks in step?"
                        )
            return Observation(state, stamp, self._stamps() - stamp)

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
    def rejected_total(self) -> int:
        """Messages rejected since the start."""
        return sum(self.rejected.values())
