# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""When a simulated hand's sensors measure, and the states that a controller makes of their measurements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.source_reader import Sample
from mbrl_controller.contract.sources import Source, TrackedSource
from mbrl_controller.contract.state_assembly import join_samples, make_readers, split_state
from mbrl_controller.tasks.spaces import Array

STAMP_DECIMALS = 9  # of s: what a message's stamp holds


@dataclass(frozen=True)
class Measurement:
    """Values [n] of one source, measured at `stamp` (s since the reset)."""

    source: Source
    values: Array
    stamp: float


@dataclass(frozen=True)
class Moment:
    """A time within a control period at which something measures."""

    steps: int  # physics steps since the moment before
    due: tuple[str, ...]  # keys of the trackers that measure now


def schedule(contract: RobotContract, substeps: int, every: int) -> tuple[Moment, ...]:
    """The moments of a control period of `substeps` physics steps.

    Sources measure `every` so many steps and at the end; those whose velocity is derived at their own rate, rounded so
    that a period has a whole number of their measurements, the last one at its end.
    """
    trackers: dict[int, list[str]] = {substeps: []}
    for source in contract.sources:
        if isinstance(source, TrackedSource) and source.derived:
            count = min(source.per_period(contract.action.period), substeps)
            for k in range(1, count + 1):
                trackers.setdefault(-(-k * substeps // count), []).append(source.key)
    times = sorted({*range(every, substeps, every), *trackers})
    steps = np.diff([0, *times]).tolist()
    return tuple(Moment(step, tuple(trackers.get(at, ()))) for step, at in zip(steps, times, strict=True))


class MeasuredState:
    """The newest state from measurements of all sources; derived velocities are made as in the controller."""

    def __init__(self, contract: RobotContract) -> None:
        self._contract = contract
        self._readers = {key: r for key, r in make_readers(contract).items() if r.source.derived}
        self.newest: dict[str, Sample] = {}

    @property
    def is_plain(self) -> bool:
        """Whether no velocity is derived."""
        return not self._readers

    def reset(self) -> None:
        """Forget all measurements."""
        self.newest.clear()
        for reader in self._readers.values():
            reader.reset()

    def take(self, stamp: float, state: Array, due: Iterable[str]) -> list[Measurement]:
        """Take in the whole state [S] as measured at `stamp` (s); of the trackers, only those `due` measured then.

        Returns what each source that measured would send.
        """
        sent = []
        stamp = round(stamp, STAMP_DECIMALS)
        for source, values in zip(self._contract.sources, split_state(self._contract, state), strict=True):
            reader = self._readers.get(source.key)
            if reader is None:
                self.newest[source.key] = Sample(stamp, values)
            elif source.key in due:
                try:
                    sample = reader.make_sample(stamp, values[reader.carried])
                except MessageError:  # the controller rejects it, too
                    if source.key not in self.newest:
                        raise
                else:
                    self.newest[source.key] = sample or self.newest[source.key]
            else:
                continue
            sent.append(Measurement(source, values, stamp))
        return sent

    def state(self) -> tuple[float, Array]:
        """Stamp (s) of the oldest of the newest measurements, and the state [S] of them all."""
        parts = [self.newest[source.key] for source in self._contract.sources]
        return min(part.stamp for part in parts), join_samples(self._contract, [part.values for part in parts])
