# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Transitions as arrays with their episodes, and a split into training and validation that never leaks. NumPy only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.columns import ColumnBuilder, chunks, frozen, taken
from mbrl_controller.base.errors import DatasetError
from mbrl_controller.tasks.spaces import Array, VectorSpec

Index = NDArray[np.int64]

MIN_TRANSITIONS, MIN_EPISODES = 200, 2  # to train on
WHOLE_VALUES, ENTRIES_AT_ONCE = 2**24, 4  # of `robust_scale`


@dataclass(frozen=True)
class TransitionSet:
    """Rows (state at tick k, action applied from k to k+1, state at k+1), SI units, actions are joint targets (rad).

    `episode[t]` indexes `episode_keys`; a key is the permanent name of a recording, or of a part of a long one.
    `step[t]` counts ticks within the episode; rows across a gap in it are not consecutive.
    Arrays that may be written to are copied. Long ones may be mapped files (base/columns.py).
    """

    state: Array  # [T, S]
    action: Array  # [T, A]
    next_state: Array  # [T, S]
    episode: Index  # [T]
    step: Index  # [T]
    episode_keys: tuple[str, ...]
    weight: Array | None = None  # [T] of each row in training; None: all alike

    def __post_init__(self) -> None:
        object.__setattr__(self, "episode_keys", tuple(self.episode_keys))
        for name, kind in (("state", float), ("action", float), ("next_state", float), ("episode", int), ("step", int)):
            value = np.asarray(getattr(self, name), dtype=np.float64 if kind is float else np.int64)
            object.__setattr__(self, name, frozen(value.copy()) if value.flags.writeable else value)
        if self.weight is not None:
            weight = frozen(np.array(self.weight, dtype=np.float64))
            object.__setattr__(self, "weight", weight)
            if weight.shape != self.episode.shape or not (np.isfinite(weight) & (weight > 0)).all():
                raise DatasetError(f"weight {weight.shape} must be [{len(self.episode)}], each finite and above 0")
        self._check_shapes()
        self._check_finite()

    def _check_shapes(self) -> None:
        T = len(self.episode)
        if self.state.ndim != 2 or self.action.ndim != 2 or self.state.shape != self.next_state.shape:
            raise DatasetError(
                f"state {self.state.shape} and next state {self.next_state.shape} must be the same [T, S], "
                f"action {self.action.shape} must be [T, A]"
            )
        for name in ("state", "action", "step"):
            if len(getattr(self, name)) != T:
                raise DatasetError(f"{name} has {len(getattr(self, name))} rows, episode has {T}")
        if len(set(self.episode_keys)) != len(self.episode_keys):
            twice = sorted({key for key in self.episode_keys if self.episode_keys.count(key) > 1})
            raise DatasetError(f"episodes occur twice: {', '.join(twice[:5])}")
        if T and not (self.episode.min() >= 0 and self.episode.max() < len(self.episode_keys)):
            raise DatasetError(f"episode ids reach {self.episode.max()}, but there are {len(self.episode_keys)} keys")

    def _check_finite(self) -> None:
        for name in ("state", "action", "next_state"):
            values = getattr(self, name)
            if not all(np.isfinite(values[part]).all() for part in chunks(len(values))):
                bad = ~np.isfinite(values)
                row, entry = map(int, np.argwhere(bad)[0])
                raise DatasetError(
                    f"episode {self.episode_keys[self.episode[row]]!r}: {name}[{entry}] is "
                    f"{values[row, entry]} in row {row} (step {self.step[row]}); "
                    f"{int(bad.sum())} such values in total"
                )

    def __len__(self) -> int:
        return len(self.episode)

    @property
    def episodes(self) -> Index:
        """Ids of the episodes that have rows, ascending."""
        return np.unique(self.episode)

    def require(self, transitions: int = 1, episodes: int = 1, what: str = "data") -> None:
        """Raises DatasetError for too little data; `what` names it in the error."""
        have = len(self.episodes)
        if len(self) < transitions or have < episodes:
            raise DatasetError(
                f"too little {what}: {len(self)} transitions in {have} episodes, "
                f"need at least {transitions} transitions in {episodes} episodes"
            )

    def of_episodes(self, ids: Sequence[int] | Index) -> TransitionSet:
        """Rows of these episodes only; other keys are dropped."""
        wanted = np.unique(np.asarray(ids, dtype=np.int64))
        rows = np.flatnonzero(np.isin(self.episode, wanted))
        state, action, next_state = (frozen(taken(v, rows)) for v in (self.state, self.action, self.next_state))
        return TransitionSet(
            state,
            action,
            next_state,
            np.searchsorted(wanted, self.episode[rows]),
            self.step[rows],
            tuple(self.episode_keys[i] for i in wanted),
            None if self.weight is None else self.weight[rows],
        )

    def split_by_episode(self, fraction: float, key: str = "") -> tuple[TransitionSet, TransitionSet]:
        """(training, validation) sets of whole episodes, about `fraction` of them for validation.

        The side of an episode depends only on its key, so it never changes when more are recorded: a model trained
        further has never seen its validation episodes. So that neither side is empty, the first episode is always for
        training and the second for validation; keep recordings in the order in which they were made.
        """
        if not 0 < fraction < 1:
            raise DatasetError(f"the validation fraction must be in (0, 1), got {fraction}")
        ids = self.episodes
        validation = np.array([_uniform(f"{key}\0{self.episode_keys[i]}") < fraction for i in ids], dtype=bool)
        validation[:2] = np.array([False, True])[: len(validation)]
        return self.of_episodes(ids[~validation]), self.of_episodes(ids[validation])

    def windows(self, length: int) -> Index:
        """Row indices [W, length] of every run of `length` consecutive rows of one episode."""
        return self.window_starts(length)[:, None] + np.arange(length)

    def window_starts(self, length: int) -> Index:
        """The first row [W] of each of these runs."""
        if length < 1:
            raise DatasetError(f"a window needs at least one row, got {length}")
        starts = len(self) - length + 1
        if starts < 1:
            return np.empty(0, dtype=np.int64)
        follows = (np.diff(self.episode) == 0) & (np.diff(self.step) == 1)
        breaks = np.concatenate([[0], np.cumsum(~follows)])
        return np.flatnonzero(breaks[:starts] == breaks[length - 1 :])

    def digest(self) -> str:
        """SHA-256 (hex) of all values and keys, equal on every machine."""
        sha = hashlib.sha256()
        for value in (self.state, self.action, self.next_state, self.episode, self.step):
            sha.update(f"{value.shape}".encode())
            sha.update(np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).data)
        sha.update("\0".join(self.episode_keys).encode())
        if self.weight is not None:
            sha.update(self.weight.astype("<f8").tobytes())
        return sha.hexdigest()


def parts_of(step: Index, length: int, gap: int) -> dict[int, Index]:
    """Row indices of the parts of a long episode, by the part's number, so that some can be for validation.

    A part has `length` steps, the last one .5 to 1.5 times that. Where a part begins depends only on the step. Parts
    after the first leave out their first `gap` steps, so that validation does not resume where training ended.

    Args:
        step: Steps [T] of the episode's rows, ascending.
        length: Steps per part.
        gap: Steps between parts.

    Returns:
        Empty for an episode of less than 1.5 `length` rows, which stays whole.
    """
    if 2 * len(step) < 3 * length:
        return {}
    last = max((2 * (int(step[-1]) + 1) - length) // (2 * length), 0)
    part = np.minimum(step // length, last)
    kept = (part == 0) | (step - part * length >= gap)
    return {int(k): np.flatnonzero(kept & (part == k)) for k in np.unique(part[kept])}


def robust_scale(parts: Iterable[Array], units: Sequence[str], tail: float = 0.005) -> tuple[Array, Array]:
    """(mean, std) [D] of values clipped to their inner quantiles, with a lower bound for each std.

    Without clipping, one ball that falls to the floor would set the scale of everything near the hand. The bound, 1 %
    of the median std of the entries with the same unit, keeps an entry that hardly moved from amplifying noise. If
    all entries are still, the std is 1.

    Args:
        parts: values [t, D] of some rows, then of others. Of long ones memory holds a few entries at a time.
        units: of the entries.
        tail: share of the values that is clipped at each end.
    """
    count = -(-len(units) // ENTRIES_AT_ONCE)
    blocks = [ColumnBuilder(builders=count) for _ in range(count)]
    rows = 0
    for values in parts:
        rows += len(values)
        for number, block in enumerate(blocks):
            at = number * ENTRIES_AT_ONCE
            block.append(np.ascontiguousarray(values[:, at : at + ENTRIES_AT_ONCE]))
    if rows * len(units) <= WHOLE_VALUES:  # side by side or not, an entry's sum is the same
        mean, std = _core(np.concatenate([block.build() for block in blocks], axis=1), tail)
    else:
        found = [_core(block.build(), tail) for block in blocks]
        mean, std = (np.concatenate(values) for values in zip(*found, strict=True))
    kinds = np.array(units)
    for unit in set(units):
        same = kinds == unit
        floor = 0.01 * float(np.median(std[same]))
        std[same] = np.maximum(std[same], floor)
    return mean, np.where(std > 1e-7, std, 1.0)


def _core(values: Array, tail: float) -> tuple[Array, Array]:
    """(mean, std) [D] of values [T, D] clipped to their inner quantiles."""
    core = np.array(values, dtype=np.float64)
    np.clip(core, *np.quantile(core, [tail, 1 - tail], axis=0), out=core)
    return core.mean(axis=0), core.std(axis=0)


def change_scale(layout: VectorSpec, parts: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
    """(mean, std) [S] of the changes from states [t, S] to next states [t, S], as `robust_scale` has them.

    The six entries of an orientation have no mean and one std, their root mean square: then no frame matters, and an
    axis about which the object is turned is not the measure of what tips it.
    """
    mean, std = robust_scale((layout.difference(after, before) for before, after in parts), layout.units)
    for start in layout.orientations:
        mean[start : start + 6] = 0.0
        std[start : start + 6] = np.sqrt(np.mean(np.square(std[start : start + 6])))
    return mean, std


def _uniform(text: str) -> float:
    """A number in [0, 1) that depends only on the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
