# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Windows of a log, as what a model of windows is given and asked. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import Index, TransitionSet
from mbrl_controller.dynamics.head_data import Examples
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.window_kinds import KINDS, WindowName
from mbrl_controller.tasks.spaces import Array, Mask
from mbrl_controller.tasks.symmetry import Symmetry


@dataclass(frozen=True)
class WindowData(Examples):
    """N windows of n control periods, SI units; actions are joint targets (rad)."""

    states: Array  # [N, n+1, S]
    actions: Array  # [N, n, A]
    episode: Index  # [N]
    kind: WindowName

    @classmethod
    def of(cls, data: TransitionSet, kind: WindowName, steps: int) -> WindowData:
        """All windows of `steps` consecutive transitions of one episode; raises DatasetError if there are none."""
        rows = data.windows(steps)
        if not len(rows):
            raise DatasetError(
                f"no {steps} transitions in a row in any episode, which a model of kind {kind} learns from"
            )
        states = np.concatenate([data.state[rows], data.next_state[rows[:, -1:]]], axis=1)
        return cls(states, np.asarray(data.action[rows]), data.episode[rows[:, 0]], kind)

    @classmethod
    def split(
        cls, train: TransitionSet, held_out: TransitionSet, kind: WindowName, steps: int
    ) -> tuple[WindowData, Mask]:
        """Windows of both, and which rows [N] are held out; none where no window of `held_out` is whole."""
        data = cls.of(train, kind, steps)
        if not len(held_out.windows(steps)):
            return data, np.zeros(len(data), dtype=bool)
        judged = cls.of(held_out, kind, steps)
        episode = np.concatenate([data.episode, judged.episode + len(train.episode_keys)])
        states, actions = (
            np.concatenate(parts) for parts in ((data.states, judged.states), (data.actions, judged.actions))
        )
        return cls(states, actions, episode, kind), np.arange(len(episode)) >= len(data)

    def __len__(self) -> int:
        return len(self.states)

    @property
    def first(self) -> Array:
        """States [N, S] in which the windows begin."""
        return self.states[:, 0]

    @property
    def last(self) -> Array:
        """States [N, S] in which they end."""
        return self.states[:, -1]

    @property
    def given(self) -> tuple[Array, ...]:
        slices = {"first": self.first, "last": self.last - self.first, "actions": self.actions}
        return tuple(value for name, value in slices.items() if name in KINDS[self.kind].seen)

    def targets(self, spec: HeadSpec) -> Array:
        """Asked states as differences from their reference, or commands, [N, D]; no numbers [N, 0] of a density."""
        kind, steps = KINDS[self.kind], spec.horizon
        if kind.is_density:
            return np.zeros((len(self), 0))
        states = kind.asked_states(steps)
        if not states:
            return self.actions.reshape(len(self), -1)
        last = self.last if "last" in kind.given else None
        reference = kind.reference(spec.state, self.first, last, steps)
        return spec.state.difference(self.states[:, list(states)], reference).reshape(len(self), -1)

    def mirrors(self, symmetry: Symmetry) -> bool:
        return True

    def mirrored(self, symmetry: Symmetry, spec: HeadSpec) -> WindowData:
        states, actions = symmetry.mirror_state(self.states), symmetry.mirror_action(self.actions)
        return replace(self, states=states, actions=actions)

    def shapes(self, spec: HeadSpec) -> dict[str, tuple[int, ...]]:
        S, A = len(spec.state_names), len(spec.action_names)
        return {"states": (spec.horizon + 1, S), "actions": (spec.horizon, A), "episode": ()}
