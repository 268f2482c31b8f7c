# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Kinds of models of a window: which slices of it are given, and which are asked. A new kind is one entry of KINDS.

A window of n control periods has states s_0 to s_n and the commands (joint targets) a_0 to a_(n-1) between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.tasks.spaces import Array, VectorSpec

WindowName = Literal["inverse", "multistep_inverse", "action_free", "between", "joint"]
# s_0; s_n; s_1 to s_(n-1); s_1 to s_n; all commands
Slice = Literal["first", "last", "middle", "after", "actions"]


@dataclass(frozen=True)
class WindowKind:
    """p(asked | given) of a window; with nothing given, the density of what is asked.

    `given` may have first, last and actions. A kind that has some asks one slice: middle, after, last or actions.
    """

    question: str  # for a person
    given: tuple[Slice, ...]
    asked: tuple[Slice, ...]
    steps: int  # n, if nobody says another
    components: int = 1  # of the mixture that answers: where several answers are right, their mean is none

    @property
    def is_density(self) -> bool:
        """Whether nothing is given."""
        return not self.given

    @property
    def seen(self) -> tuple[Slice, ...]:
        """What the network gets: the given slices, or those whose density is asked."""
        return self.given or self.asked

    def asked_states(self, steps: int) -> range:
        """Which states of a window of so many steps are asked; empty where commands are."""
        ranges = {"middle": range(1, steps), "after": range(1, steps + 1), "last": range(steps, steps + 1)}
        return ranges.get(self.asked[0], range(0))

    def reference(self, layout: VectorSpec, first: Array, last: Array | None, steps: int) -> Array:
        """What asked states [..., m, S] are differences from: the way straight from `first` to `last` [..., S] where
        that is given, else `first`."""
        whole = np.zeros(np.shape(first)) if last is None else layout.difference(last, first)
        share = np.array(self.asked_states(steps))[:, None] / steps
        return np.asarray(first)[..., None, :] + share * whole[..., None, :]


KINDS: Mapping[str, WindowKind] = {
    "inverse": WindowKind("which command leads from one state to the next?", ("first", "last"), ("actions",), 1, 3),
    "multistep_inverse": WindowKind(
        "which commands lead from a state to another one, some steps later?", ("first", "last"), ("actions",), 5, 3
    ),
    "action_free": WindowKind("what comes next, whatever is commanded?", ("first",), ("after",), 5),
    "between": WindowKind(
        "which states lay between two known ones, under these commands?", ("first", "last", "actions"), ("middle",), 5
    ),
    "joint": WindowKind("how usual is this step?", (), ("first", "actions", "last"), 1, 8),
}
WINDOW_NAMES: tuple[WindowName, ...] = get_args(WindowName)


def window_names(given: Iterable[str]) -> tuple[WindowName, ...]:
    """Names of kinds, each once; raises MbrlError for an unknown one, and for none."""
    names = tuple(dict.fromkeys(given))
    unknown = [name for name in names if name not in KINDS]
    if unknown or not names:
        wrong = f"unknown kind {unknown[0]!r}" if unknown else "no kind of model was named"
        raise MbrlError(f"--kind: {wrong}; known: {', '.join(WINDOW_NAMES)}")
    return tuple(name for name in WINDOW_NAMES if name in names)
