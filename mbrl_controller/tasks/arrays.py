# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Rewards are written once and run on the arrays of any library: NumPy where plans are sampled, torch where they are
differentiated.

    xp = namespace(state)          # numpy, or the library that `state` is of
    reward = -xp.sqrt(x * x + y * y)

Of `xp`, use what the array API standard and NumPy 1 both have: abs, sqrt, sin, cos, minimum, maximum, where, stack,
sum, mean, min, max and std with `axis` (not the methods: a tensor's differ). Comparisons, arithmetic and indexing are
the arrays' own. NumPy's arrays need no further package; for others it is array_api_compat.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def namespace(array: Any) -> Any:
    """The functions for `array`: numpy itself for NumPy's arrays, numbers and lists."""
    return np if _is_numpy(array) else _compatible(array)


def as_array(values: T) -> T:
    """Numbers and lists as a NumPy array; an array of any library as it is."""
    return cast(T, np.asarray(values)) if _is_numpy(values) else values


def constant(values: Any, like: Any) -> Any:
    """A constant as an array of the library, kind of number and device of `like`."""
    if _is_numpy(like):
        return np.asarray(values, dtype=np.asarray(like).dtype)
    return _compatible(like).asarray(np.array(values), dtype=like.dtype, device=like.device)


def nowhere(states: Any) -> NDArray[np.bool_]:
    """False [...] for each of `states` [..., S]."""
    if _is_numpy(states):
        return np.zeros(np.shape(states)[:-1], dtype=bool)
    xp = _compatible(states)
    return cast(NDArray[np.bool_], xp.zeros(states.shape[:-1], dtype=xp.bool, device=states.device))


def from_then_on(mask: Any) -> NDArray[np.bool_]:
    """Whether `mask` [..., H] was true at a step or at one before it."""
    if _is_numpy(mask):
        return cast(NDArray[np.bool_], np.maximum.accumulate(mask, axis=-1))
    xp = _compatible(mask)
    return cast(NDArray[np.bool_], xp.cumulative_sum(xp.astype(mask, xp.int32), axis=-1) > 0)


def _is_numpy(array: Any) -> bool:
    # A planner asks this of each chunk of candidates: nothing is imported or looked up for NumPy.
    return isinstance(array, np.ndarray | np.generic | float | int | list | tuple)


def _compatible(array: Any) -> ModuleType:
    from array_api_compat import array_namespace

    found: ModuleType = array_namespace(array)
    return found
