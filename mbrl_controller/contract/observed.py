# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the messages of a state's source have wrong, from some seconds of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.findings import Finding
from mbrl_controller.contract.frames import StaticFrames
from mbrl_controller.contract.source_reader import SourceReader
from mbrl_controller.contract.sources import ArraySource, JointSource, Source

LONG_AGO_S = 60.0  # a larger age is no delay, but another clock
BEYOND = 0.1  # rad that a measurement may be beyond a joint's limits: play, and calibration
PER_DEGREE = 57.29578


class ObservedSource:
    """Reads a source's messages as the controller does, and remembers what was wrong with them."""

    def __init__(self, contract: RobotContract, source: Source, frames: StaticFrames | None = None) -> None:
        self.source = source
        self._contract, self._reader = contract, SourceReader(source, frames, contract.max_gap(source))
        self._times: list[float] = []  # of receipt, s, of those whose stamp was newer
        self._ages: list[float] = []
        self._newest = -np.inf
        self._refused: dict[str, tuple[int, str]] = {}  # by its words without numbers: how many, and one of them
        self._least: Any = None
        self._most: Any = None
        self._last: Any = None
        self.messages = self.unstamped = 0

    def hear(self, message: Any, received: float, clock: float) -> None:
        """Take in a message, received at `received` (s, a steady clock) and at `clock` (s, the stamps' clock)."""
        if self._reader.locate(message) is None:  # of another object
            return
        self.messages += 1
        self._last = message
        try:
            sample = self._reader.read(message, clock)
        except MessageError as error:
            kind = re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", str(error))
            self._refused[kind] = (self._refused.get(kind, (0, ""))[0] + 1, str(error))
            return
        if sample is None:
            return
        if sample.stamp == 0.0:
            self.unstamped += 1
        if sample.stamp > self._newest:
            self._newest = sample.stamp
            self._times.append(received)
            self._ages.append(clock - sample.stamp)
        self._least = sample.values if self._least is None else np.minimum(self._least, sample.values)
        self._most = sample.values if self._most is None else np.maximum(self._most, sample.values)

    @property
    def period(self) -> float | None:
        """Median time between measurements (s); None for fewer than two."""
        return float(np.median(np.diff(self._times))) if len(self._times) > 1 else None

    def summary(self) -> dict[str, Any]:
        """What was seen: messages, rate (Hz), longest gap (s), median age (s), messages refused."""
        gaps = np.diff(self._times)
        return {
            "topic": self.source.topic,
            "messages": self.messages,
            "rate (Hz)": 1.0 / self.period if self.period else None,
            "longest gap (s)": float(gaps.max()) if len(gaps) else None,
            "age (s)": float(np.median(self._ages)) if self._ages else None,
            "refused": sum(count for count, _ in self._refused.values()),
        }

    def findings(self) -> list[Finding]:
        """What is wrong with the messages so far; empty if there were none."""
        return [*self.unusable(), *self._timing(), *self._limits()]

    def unusable(self) -> list[Finding]:
        """Why they cannot be used at all."""
        refused = [
            Finding(self.source.topic, f"{count} of {self.messages} messages refused: {text}", self._cure(text))
            for count, text in self._refused.values()
        ]
        return [*refused, *self._stamps()]

    def _timing(self) -> list[Finding]:
        topic, silence, control = (
            self.source.topic,
            self._contract.max_silence(self.source),
            self._contract.action.period,
        )
        if self.period is None:
            return []
        if self.period > 1.05 * control:
            return [
                Finding(
                    topic,
                    f"{1 / self.period:.3g} Hz is slower than the control period of {control:g} s: no transition can "
                    "be learnt from a measurement that is used twice",
                    f"make the driver faster, or control_period_s at least {1.1 * self.period:.2g}",
                )
            ]
        late = [gap for gap in np.diff(self._times) if gap > silence]
        if not late:
            return []
        return [
            Finding(
                topic,
                f"{len(late)} gaps of up to {max(late):.3g} s; the controller holds after {silence:.3g} s",
                "find out what delays the driver, or set max_silence_s for this source",
            )
        ]

    def _stamps(self) -> list[Finding]:
        topic, limit = self.source.topic, self.source.max_age_s
        if isinstance(self.source, ArraySource):
            return []  # stamped when received
        if self.unstamped:
            return [
                Finding(
                    topic, f"{self.unstamped} of {self.messages} stamps are 0", "stamp with the time of measurement"
                )
            ]
        read = self.messages - sum(count for count, _ in self._refused.values())
        found = []
        if len(self._times) < 0.9 * read:
            found.append(
                Finding(
                    topic,
                    f"{read - len(self._times)} of {read} stamps are not newer than the one before",
                    "stamp each message with the time of its own measurement",
                )
            )
        if self._ages and not -limit <= (age := float(np.median(self._ages))) <= limit:
            when = f"{age:.3g} s old" if age > 0 else f"{-age:.3g} s in the future"
            cure = "stamp with the time of measurement, or set max_age_s if the sensor really is that late"
            if age < 0 or age > LONG_AGO_S:
                cure = (
                    "bring the clocks of both machines in step (chrony, PTP); in simulated time, check with --sim-time"
                )
            found.append(Finding(topic, f"measurements are {when}; max_age_s is {limit:g}", cure))
        return found

    def _limits(self) -> list[Finding]:
        """Joints measured beyond the limits to which they may be sent."""
        if not isinstance(self.source, JointSource) or self._least is None:
            return []
        space, found = self._contract.action, []
        for entry, least, most in zip(self.source.entries(), self._least, self._most, strict=True):
            joint, _, quantity = entry.rpartition(".")
            if quantity != "position" or joint not in space.names:
                continue
            i = space.names.index(joint)
            low, high = float(space.lower[i]), float(space.upper[i])
            if least < low - BEYOND or most > high + BEYOND:
                worst = least if least < low - BEYOND else most
                found.append(
                    Finding(
                        self.source.topic,
                        f"{joint} is at {worst:.4g} rad, outside its limits of {low:g} to {high:g} rad",
                        f"check sign, scale and offset of {joint} (`as`), or its limits",
                    )
                )
        return found

    def _cure(self, text: str) -> str:
        """What to change in the contract so that such a message is read."""
        source = self.source
        if not isinstance(source, JointSource):
            return "correct this source in the contract, or the driver"
        names = list(getattr(self._last, "name", ()))
        wanted = list(source.joint_map.names)
        if source.by == "name" and not names:
            return f"the driver sends no names: by: index, with its {len(self._last.position)} joints in its order"
        missing = set(wanted) - set(names) if source.publishers != "parts" else set()
        unknown = set(names) - set(wanted) if not source.ignore_unknown else set()
        if source.by == "name" and (missing or unknown):
            return _names_cure(wanted, names)
        positions = np.abs(np.asarray(self._last.position, dtype=float))
        if "position" in text and positions.size and 7.0 < positions.max() <= 360.0:
            return (
                f"if the driver speaks degrees: as: {{scale: {PER_DEGREE}}}; else check sign, scale, offset and ranges"
            )
        if "velocity has" in text or "effort has" in text:
            return "the driver does not send this: leave it out of fields"
        return "check the driver, then sign, scale, offset and the ranges of this source"


def _names_cure(wanted: Sequence[str], names: Sequence[str]) -> str:
    """How the contract's names of joints could be those of a message."""
    prefixes = {name[: -len(joint)] for joint in wanted for name in names if name.endswith(joint) and name != joint}
    for prefix in sorted(prefixes):
        if {prefix + joint for joint in wanted} <= set(names):
            return f"the driver's names begin with {prefix}: as: {{prefix: {json.dumps(prefix)}}}"
    if set(wanted) < set(names):
        return "ignore_unknown: true, if the other joints belong to something else"
    return f"write the driver's names: {', '.join(names)}"
