# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The robot contract: maps messages, joints and fields to state entries, and defines the commands.

Controller, logger, sim and dataset read the same YAML file through this loader, so that a model sees the same state in
training and in control.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.base.yaml_text import load_yaml
from mbrl_controller.contract.commands import Command
from mbrl_controller.contract.destinations import Destination, destinations
from mbrl_controller.contract.fields import SINCE_2, Name, Strict
from mbrl_controller.contract.joint_map import DriverJoint
from mbrl_controller.contract.reward_label import RewardLabel
from mbrl_controller.contract.sources import JointSource, ObjectSource, Source, StateJoint, TrackedSource
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.catalog import make_task
from mbrl_controller.tasks.spaces import ActionSpace

# Default of max_silence_s, in control periods. A source as fast as the control loop may be late by a fifth; and a
# plan made just before the limit is sent within two periods of the last measurement.
DEFAULT_SILENCE_PERIODS = 1.2
# No transition leads across more than two periods (see transitions.states_at); nor does a velocity, unless the sensor
# is slower. A scene that is reset sends nothing for longer than that.
GAP_PERIODS, GAP_MEASUREMENTS, RESET_MARGIN = 2.0, 3.0, 1.05


class ContractFile(Strict):
    """The YAML document."""

    format_version: Literal[1, 2] = Field(description="2 for what is marked so below; format 1 is still read")
    robot: Name = Field(description="name of the hand; its models and episodes are kept apart from those of others")
    scene: Annotated[Name | None, SINCE_2] = Field(default=None, description="simulated world: a file beside this one")
    task: str = Field(description="one of those that `mbrl tasks` lists")
    task_options: dict[str, Any] = Field(default_factory=dict, description="arguments of the task, as it names them")
    control_period_s: float = Field(gt=0, le=10, description="from command to command; models are trained for it")
    state: tuple[Source, ...] = Field(min_length=1, description="what is measured; fills the task's state exactly")
    command: Command = Field(description="which joints are commanded, and where to")
    reward: Annotated[RewardLabel | None, SINCE_2] = Field(
        default=None, description="labels to learn a reward from (`mbrl retrain --set reward=learned`)"
    )

    @field_validator("scene")
    @classmethod
    def _beside(cls, scene: str | None) -> str | None:
        if scene is not None and (scene.startswith("/") or ".." in scene.split("/")):
            raise ValueError(f"a file beside the contract or below, not {scene!r}")
        return scene

    @model_validator(mode="after")
    def _consistent(self) -> ContractFile:
        if self.format_version == 1 and (new := self.new_in_2()):
            raise ValueError(f"{', '.join(new)}: needs format_version: 2")
        keys = [source.key for source in self.state]
        topics = [source.topic for source in self.state]
        alone = [source.topic for source in self.state if source.key == source.topic]
        if len(set(keys)) != len(keys) or any(topics.count(topic) > 1 for topic in alone):
            raise ValueError("two state sources share a topic; merge them into one")
        for to in self.command.destinations:
            if to.topic in topics:
                raise ValueError(f"the command topic {to.topic} is a state's topic as well")
        if (reward := self.reward) is not None:
            if any(to.topic == reward.topic for to in self.command.destinations):
                raise ValueError(f"reward: {reward.topic} is the command's topic")
            if any(source.topic == reward.topic and source.type != reward.type for source in self.state):
                raise ValueError(f"reward: {reward.topic} is a state's topic of another type than {reward.type}")
        return self


@dataclass(frozen=True)
class RobotContract:
    """A validated contract: its sources cover the task's state exactly."""

    file: ContractFile
    text: str
    task: Task
    action: ActionSpace
    order: np.ndarray  # task state = concatenated sources[order]; read-only
    destinations: tuple[Destination, ...]  # where commands go
    folder: Path | None = None  # where the file lies, for the files that it names; None: inside an episode

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the contract's content, without comments and layout."""
        return hashlib.sha256(self.file.model_dump_json().encode()).hexdigest()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The state's sources, in file order."""
        return self.file.state

    @property
    def plan_points(self) -> int:
        """The largest number of a plan's points that a driver is sent at once."""
        return max(to.points for to in self.destinations)

    def destination(self, topic: str) -> Destination:
        """The command topic of this name, as in the contract; raises KeyError."""
        return next(to for to in self.destinations if to.topic == topic)

    @property
    def looks_up_frames(self) -> bool:
        """Whether poses are turned by what /tf_static says."""
        return any(isinstance(source, ObjectSource) and source.transform == "tf" for source in self.sources)

    def max_gap(self, source: Source) -> float:
        """Time (s) without a measurement of `source` after which a velocity made of its poses starts anew."""
        rate = source.rate_hz if isinstance(source, TrackedSource) else math.inf
        allowed = source.max_silence_s or 0.0  # a state is used after such a silence, so its velocity must be, too
        return max(GAP_PERIODS * self.file.control_period_s, GAP_MEASUREMENTS / rate, allowed)

    @property
    def reset_gap(self) -> float:
        """Time (s) without measurements across which neither a velocity nor a transition leads."""
        gaps = [self.max_gap(source) for source in self.sources if source.derived]
        return RESET_MARGIN * max([GAP_PERIODS * self.file.control_period_s, *gaps])

    def max_silence(self, source: Source) -> float:
        """Longest time (s) without a newer measurement of `source`."""
        return (
            DEFAULT_SILENCE_PERIODS * self.file.control_period_s
            if source.max_silence_s is None
            else source.max_silence_s
        )


def parse_contract(text: str, where: str = "contract", folder: Path | None = None) -> RobotContract:
    """Parse a contract's YAML text; raises ContractError naming `where`, the entry and the fault."""
    try:
        contract = _checked(text)
        return contract if folder is None else replace(contract, folder=folder)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from error


@functools.lru_cache(maxsize=32)  # every episode of a log carries the same text
def _checked(text: str) -> RobotContract:
    try:
        document = load_yaml(text)
    except ValueError as error:
        raise ContractError(f"not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ContractError("expected a mapping with format_version, robot, task, state, command")
    try:
        file = ContractFile.model_validate(document)
    except ValidationError as error:
        raise ContractError(describe_validation(error)) from error
    file = file.model_copy(update={"state": tuple(_as_commanded(source, file.command) for source in file.state)})
    names = [joint.name for joint in file.command.joints]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ContractError(f"command.joints names {', '.join(twice)} twice")
    action = ActionSpace(
        names=tuple(names),
        lower=np.array([j.lower for j in file.command.joints]),
        upper=np.array([j.upper for j in file.command.joints]),
        neutral=np.array([j.neutral for j in file.command.joints]),
        max_rate=np.array([j.max_rate for j in file.command.joints]),
        period=file.control_period_s,
        stroke=file.command.stroke,
    )
    task = make_task(file.task, tuple(names), file.task_options, action)
    given = [entry for source in file.state for entry in source.entries()]
    missing = [name for name in task.state.names if name not in given]
    extra = [name for name in given if name not in task.state.names]
    if missing or extra or len(given) != len(set(given)):
        problems = [f"no source for [{', '.join(missing)}]{_sources_to_add(missing)}"] if missing else []
        problems += [f"task {task.name} does not use [{', '.join(extra)}]"] if extra else []
        problems += ["an entry has two sources"] if len(given) != len(set(given)) else []
        raise ContractError(f"state: {'; '.join(problems)}")
    order = np.array([given.index(name) for name in task.state.names], dtype=np.intp)
    order.setflags(write=False)
    return RobotContract(file, text, task, action, order, destinations(file.command, file.control_period_s))


def _sources_to_add(missing: Sequence[str]) -> str:
    """What to write for objects of which entries are missing: the rest is a joint's or an array's."""
    fields: dict[str, dict[str, None]] = {}
    for parts in (name.split(".") for name in missing):
        if len(parts) > 2:
            fields.setdefault(parts[0], {})[parts[1]] = None
    sources = [f"`object: {name}` with `fields: [{', '.join(of)}]`" for name, of in fields.items()]
    return f" (to `state` add {' and '.join(sources)}, or leave it out of the task)" if sources else ""


def _as_commanded(source: Source, command: Command) -> Source:
    """The source with the mapping of the command's joints written out, where it says `as: command`."""
    if not isinstance(source, JointSource) or source.mapping != "command":
        return source
    commanded = {joint.name: (joint.mapping or DriverJoint()).over(command.mapping) for joint in command.joints}
    joints = []
    for joint in source.joints:
        name, own = (joint, None) if isinstance(joint, str) else (joint.name, joint.mapping)
        if name not in commanded:
            raise ContractError(f"{source.topic}: as: command, but {name} is not among command.joints")
        joints.append(StateJoint.model_validate({"name": name, "as": (own or DriverJoint()).over(commanded[name])}))
    return source.model_copy(update={"joints": tuple(joints), "mapping": None})


def load_contract(path: str | Path) -> RobotContract:
    """Read a contract file; raises ContractError."""
    path = Path(path)
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:  # not text, or a NUL in the path
        raise ContractError(f"{path}: cannot be read: {error}") from error
    return parse_contract(text, str(path), path.parent.absolute())


def copy_contract(contract: RobotContract, path: Path) -> Path:
    """Write `contract` to `path`, with a link to its scene beside it; returns `path`. Raises OSError."""
    write_atomically(path, contract.text.encode())
    if contract.file.scene is not None and contract.folder is not None:
        link = path.parent / contract.file.scene
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to((contract.folder / contract.file.scene).resolve())
    return path
