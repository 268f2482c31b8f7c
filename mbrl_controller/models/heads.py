# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The heads of a version: a policy, a value, a reward and models of windows beside its model, or a policy alone.

A head sees the state and the goal at given steps ahead (`goal_steps`), so that a new goal needs no training; a reward
sees a step, from state to state; a model of windows sees what its kind says, and no goal (window_kinds.py). Its
description is stored as metadata in the ONNX file (key `mbrl_controller_head`, JSON); its digest, and how it was made,
on the version's card.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.fit import layout_fields, misfits, name_differences
from mbrl_controller.models.spec import FORMAT_VERSION, check_format, describe_validation
from mbrl_controller.models.window_kinds import KINDS, WINDOW_NAMES, WindowName
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array, VectorSpec

HEAD_METADATA_KEY = "mbrl_controller_head"
MAX_STEPS = 50  # of a plan, and ahead at which a goal is seen

HeadKind = Literal["policy", "value", "reward"] | WindowName
HeadMethod = Literal["distilled", "sac", "monte_carlo", "td_lambda", "task_labels", "topic_labels", "log"]
METHODS: dict[HeadKind, tuple[HeadMethod, ...]] = {
    "policy": ("distilled", "sac"),
    "value": ("monte_carlo", "td_lambda"),
    "reward": ("task_labels", "topic_labels"),
    **dict.fromkeys(WINDOW_NAMES, ("log",)),
}


class HeadSpec(BaseModel):
    """Identity of a policy, a value, a reward or a model of windows, physical units in.

    policy: (state [N, S], goal [N, K, G]) -> plan [N, horizon, A] of normalised actions in [-1, 1].
    value: (state [N, S], goal [N, K, G]) -> discounted return to go [members, N], in units of the task's reward.
    reward: (state [N, S], action [N, A], next_state [N, S], goal [N, 1, G]) -> reward of the step [members, N], in
    units of its labels, the cost of a drop included; actions are joint targets.
    A kind of window_kinds.KINDS: the first state [N, S], the last [N, S] and the commands [N, horizon, A] of a window,
    as far as it is given them -> a Gaussian mixture of what is asked, of each member.
    K is the number of `goal_steps`: row k of a goal is the one `goal_steps[k]` control periods after the state.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format_version: Literal[1] = FORMAT_VERSION
    kind: HeadKind
    task: str
    robot: str
    state_names: tuple[str, ...] = Field(min_length=1)
    state_units: tuple[str, ...]
    periodic: tuple[int, ...] = ()
    action_names: tuple[str, ...] = Field(min_length=1)
    action_units: tuple[str, ...]
    action_lower: tuple[float, ...]
    action_upper: tuple[float, ...]
    action_max_rate: tuple[float, ...]
    action_neutral: tuple[float, ...]  # with the stroke, what a normalised action means
    action_stroke: float = Field(gt=0, le=1)
    control_period_s: float = Field(gt=0)
    goal_names: tuple[str, ...] = Field(min_length=1)
    goal_units: tuple[str, ...]
    goal_periodic: tuple[int, ...] = ()
    goal_steps: tuple[int, ...] = Field(max_length=MAX_STEPS)  # ascending, each 1 ... 50; none for a window
    horizon: int = Field(default=1, ge=1, le=MAX_STEPS)  # actions that a policy gives; steps of a window
    members: int = Field(default=1, ge=1, le=64)  # networks of an ensemble
    components: int = Field(default=1, ge=1, le=64)  # of the mixture that a model of windows answers with
    discount: float = Field(default=1.0, gt=0, le=1)  # per control period, of a value's return
    hidden: tuple[int, ...]
    limit: float | None = None  # of a density: under it, in log density, were 1 % of the windows held out
    version: str = ""
    created: str = ""

    @model_validator(mode="after")
    def _sizes_fit(self) -> HeadSpec:
        wrong = []
        for what in ("state", "action", "goal"):
            names, size = getattr(self, f"{what}_names"), len(getattr(self, f"{what}_names"))
            fields = ["units"] + (["lower", "upper", "max_rate", "neutral"] if what == "action" else [])
            wrong += [f"{what}_{field} has {len(value)} entries, not {size}" for field in fields
                      if len(value := getattr(self, f"{what}_{field}")) != size]  # fmt: skip
            wrong += [f"{what}_names occur twice"] if len(set(names)) != size else []
        for name, size in (("periodic", len(self.state_names)), ("goal_periodic", len(self.goal_names))):
            entries = getattr(self, name)
            if len(set(entries)) != len(entries) or not all(0 <= i < size for i in entries):
                wrong.append(f"{name} {entries} are not different entries of {size}")
        steps = self.goal_steps
        if list(steps) != sorted(set(steps)) or not all(1 <= step <= MAX_STEPS for step in steps):
            wrong.append(f"goal_steps {steps} are not ascending numbers from 1 to {MAX_STEPS}")
        if self.kind == "policy" and self.members != 1:
            wrong.append("members: a policy is one network")
        if self.kind in ("value", "reward") and self.horizon != 1:
            wrong.append(f"horizon: a {self.kind} gives no plan")
        if (self.kind in KINDS) == bool(steps):
            wrong.append("goal_steps: heads see a goal, models of windows see none")
        if self.kind not in KINDS and self.components != 1:
            wrong.append(f"components: a {self.kind} gives one answer")
        if self.kind == "between" and self.horizon < 2:
            wrong.append("horizon: between the ends of a window of one step there is no state")
        if self.kind == "reward" and self.goal_steps != (1,):
            wrong.append("goal_steps: a reward sees the goal at the end of its step, (1,)")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @classmethod
    def of(
        cls,
        kind: HeadKind,
        task: Task,
        robot: str,
        action: ActionSpace,
        goal_steps: tuple[int, ...],
        hidden: tuple[int, ...],
        **more: Any,
    ) -> HeadSpec:
        """The spec of a head for this task on this robot.

        Args:
            kind: policy, value, reward, or one of window_kinds.KINDS.
            task: what is asked.
            robot: its name in the contract.
            action: of the contract.
            goal_steps: control periods after the state at which the goal is seen.
            hidden: width of each hidden layer.
            more: further fields: horizon of a policy, members of the others, discount of a value.

        Raises:
            ModelError: for a field out of its range.
        """
        try:
            return cls(
                kind=kind,
                **layout_fields(task, robot, action),
                action_neutral=tuple(action.neutral.tolist()),
                action_stroke=action.stroke,
                goal_names=task.goal.names,
                goal_units=task.goal.units,
                goal_periodic=task.goal.periodic,
                goal_steps=goal_steps,
                hidden=hidden,
                **more,
            )
        except ValidationError as error:
            raise ModelError(f"{kind} of task {task.name}: {describe_validation(error)}") from error

    @property
    def state(self) -> VectorSpec:
        """Layout of the state vector."""
        return VectorSpec(self.state_names, self.state_units, self.periodic)

    @property
    def goal(self) -> VectorSpec:
        """Layout of one goal vector."""
        return VectorSpec(self.goal_names, self.goal_units, self.goal_periodic)

    @property
    def action(self) -> ActionSpace:
        """What its normalised actions mean."""
        return ActionSpace(
            self.action_names,
            np.array(self.action_lower),
            np.array(self.action_upper),
            np.array(self.action_neutral),
            np.array(self.action_max_rate),
            self.control_period_s,
            self.action_stroke,
        )

    @property
    def reach(self) -> int:
        """How many control periods ahead it must know the goal."""
        return self.goal_steps[-1] if self.goal_steps else 0

    @property
    def asked(self) -> int:
        """Numbers that a model of windows, which is no density, is asked for."""
        states = KINDS[self.kind].asked_states(self.horizon)
        return len(states) * len(self.state_names) if states else self.horizon * len(self.action_names)

    def seen(self, goals: Array) -> Array:
        """The rows [..., K, G] that it sees of goals [..., L, G], of which row i is the goal i + 1 periods ahead.

        Raises ModelError if L is less than `reach`, or G not the goal's size.
        """
        shape = np.shape(goals)
        if len(shape) < 2 or shape[-1] != len(self.goal_names) or shape[-2] < self.reach:
            raise ModelError(
                f"{self.kind} {self.version or '(unnamed)'} needs goals [{self.reach} or more, {len(self.goal_names)}] "
                f"ahead, got shape {shape}"
            )
        return np.asarray(goals)[..., [step - 1 for step in self.goal_steps], :]

    def check_fits(self, task: Task, action: ActionSpace) -> None:
        """Raises ModelError with every difference between this head and the task and action space."""
        wrong = misfits(self, task, action)
        wrong += name_differences("goal", self.goal_names, task.goal.names)
        if not wrong and (self.goal_units, self.goal_periodic) != (task.goal.units, task.goal.periodic):
            wrong.append("its goal units differ from the task's")
        if not wrong and self.kind == "policy":
            same = np.allclose(self.action_neutral, action.neutral, rtol=1e-6, atol=1e-9)
            if not same or not np.isclose(self.action_stroke, action.stroke):
                wrong.append("its neutral pose or its stroke, which its actions refer to, differs from the contract's")
        if wrong:
            name = self.version or "(unnamed)"
            raise ModelError(f"{self.kind} {name} of robot {self.robot} does not fit: {'; '.join(wrong)}")

    def to_metadata(self) -> dict[str, str]:
        """Metadata entries to store in the ONNX file."""
        return {HEAD_METADATA_KEY: self.model_dump_json()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], where: str) -> HeadSpec:
        """The spec in an ONNX file's metadata; `where` names the file in errors (ModelError)."""
        if HEAD_METADATA_KEY not in metadata:
            raise ModelError(
                f"{where}: neither a policy nor a value nor a reward nor a model of windows of mbrl_controller "
                f"(no {HEAD_METADATA_KEY!r})"
            )
        check_format(metadata[HEAD_METADATA_KEY], where)
        try:
            return cls.model_validate_json(metadata[HEAD_METADATA_KEY])
        except ValidationError as error:
            raise ModelError(f"{where}: bad description of a head: {describe_validation(error)}") from error


class HeadCard(BaseModel):
    """What a version's card says of one of its heads."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    kind: HeadMethod  # how it was made
    command: str = ""
    figures: dict[str, float] = Field(default_factory=dict)  # finite ones: JSON has no others
    parent: str = ""  # version whose model, log or policy it learnt from
    created: str = ""


class PolicyHead(Protocol):
    """A loaded policy; `OnnxPolicy` is one. May be called by several threads at a time."""

    @property
    def spec(self) -> HeadSpec: ...
    @property
    def path(self) -> Path: ...
    @property
    def digest(self) -> str: ...

    def plan(self, state: Array, goals: Array) -> NDArray[np.float32]:
        """Normalised actions [P, A] in [-1, 1] from state [S] and goals [L, G]; goals[i] is i + 1 periods ahead."""
        ...

    def plans(self, states: Array, goals: Array) -> NDArray[np.float32]:
        """The same for N states: actions [N, P, A] from states [N, S] and goals [N, L, G], or [L, G] for all."""
        ...


class ValueHead(Protocol):
    """A loaded value ensemble; `OnnxValue` is one. May be called by several threads at a time."""

    @property
    def spec(self) -> HeadSpec: ...
    @property
    def path(self) -> Path: ...
    @property
    def digest(self) -> str: ...

    def values(self, states: Array, goals: Array) -> NDArray[np.float32]:
        """Discounted returns [V, M] from states [M, S] on, under goals [L, G] for all, or [M, L, G].

        goals[i] is the goal i + 1 periods after the states.
        """
        ...


class RewardHead(Protocol):
    """A loaded reward ensemble; `OnnxReward` is one. May be called by several threads at a time."""

    @property
    def spec(self) -> HeadSpec: ...
    @property
    def path(self) -> Path: ...
    @property
    def digest(self) -> str: ...

    def rewards(self, states: Array, actions: Array, next_states: Array, goals: Array) -> NDArray[np.float32]:
        """Rewards [V, M] of steps from states [M, S] by targets [M, A] to next states [M, S] under goals [M, G]."""
        ...
