# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Joins the newest samples of a contract's sources to state vectors, live and from a log."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import StaticFrames
from mbrl_controller.contract.source_reader import Sample, SourceReader
from mbrl_controller.tasks.spaces import Array


def make_readers(contract: RobotContract, frames: StaticFrames | None = None) -> dict[str, SourceReader]:
    """A reader of each source, by its key; `frames`: for sources whose `transform` is `tf`."""
    return {source.key: SourceReader(source, frames, contract.max_gap(source)) for source in contract.sources}


class StateAssembler:
    """Keeps the newest sample of every source, by its key, and joins them to a state."""

    def __init__(self, contract: RobotContract) -> None:
        self.contract = contract
        self.frames = StaticFrames()
        self.readers = make_readers(contract, self.frames)
        self.samples: dict[str, Sample] = {}

    def reset(self) -> None:
        """Forget all samples."""
        self.samples.clear()
        for reader in self.readers.values():
            reader.reset()

    def forget(self, key: str) -> None:
        """Forget a source's samples; its next one is the newest, whatever its stamp."""
        self.samples.pop(key, None)
        self.readers[key].reset()

    def update(self, key: str, message: Any, received: float | None = None) -> Sample | None:
        """Read a message; its sample is kept if it is newer than the one before. Raises MessageError.

        See SourceReader.read for `received` (s), and for when there is no sample.
        """
        sample = self.readers[key].read(message, received)
        if sample is not None and sample.is_newer(self.samples.get(key)):
            self.samples[key] = sample
        return sample

    @property
    def missing(self) -> list[str]:
        """Sources without a sample."""
        return [key for key in self.readers if key not in self.samples]

    def vector(self) -> tuple[Array, float]:
        """State [S] and its oldest stamp (s); raises MessageError while a source is missing."""
        if self.missing:
            raise MessageError(f"no message yet on {', '.join(map(self._named, self.missing))}")
        return join_samples(self.contract, [self.samples[s.key].values for s in self.contract.sources]), min(
            sample.stamp for sample in self.samples.values()
        )

    def _named(self, key: str) -> str:
        lacking = self.readers[key].lacking
        return f"{key} of {', '.join(lacking)}" if lacking else key


def join_samples(contract: RobotContract, parts: list[Array]) -> Array:
    """State [..., S] in the task's order from each source's values [..., n] in the contract's order."""
    return np.concatenate(parts, axis=-1)[..., contract.order]


def split_state(contract: RobotContract, state: Array) -> list[Array]:
    """Each source's values [..., n] in the contract's order from the state [..., S]: inverse of `join_samples`."""
    joined = np.empty_like(state)
    joined[..., contract.order] = state  # state = joined[order] read backwards
    ends = np.cumsum([len(source.entries()) for source in contract.sources])[:-1]
    return np.split(joined, ends, axis=-1)
