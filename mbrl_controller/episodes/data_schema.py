# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Schema of the data of a recording or a model: robot, task, period, and what each number means.

Data from another robot, other sensors or another control period does not fit. Limits, topics and goals may differ:
recorded physics does not depend on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.sources import ObjectSource, TrackedSource, VelocityFilter
from mbrl_controller.models.spec import ModelSpec

FILTERED = ", velocity filtered over"


@dataclass(frozen=True)
class DataSchema:
    """What states, actions and steps mean. `measured`: each source's kind and frame, by its first state entry."""

    robot: str
    task: str
    period: float  # s
    state_names: tuple[str, ...]
    state_units: tuple[str, ...]
    action_names: tuple[str, ...]
    measured: Mapping[str, str]

    @classmethod
    def of_contract(cls, contract: RobotContract) -> DataSchema:
        """Schema of data recorded under `contract`."""
        task = contract.task
        return cls(
            contract.file.robot,
            task.name,
            contract.action.period,
            task.state.names,
            task.state.units,
            contract.action.names,
            source_kinds(contract),
        )

    @classmethod
    def of_model(cls, spec: ModelSpec, measured: Mapping[str, str]) -> DataSchema:
        """Schema of a model's training data. `measured` is empty for old cards, which lack it."""
        return cls(
            spec.robot,
            spec.task,
            spec.control_period_s,
            spec.state_names,
            spec.state_units,
            spec.action_names,
            measured,
        )

    def differences(self, wanted: DataSchema, any_robot: bool = False) -> list[str]:
        """How this differs from `wanted`, in words, but for the robot if `any_robot`; empty if compatible."""
        wrong = []
        for what, own, other in (("robot", self.robot, wanted.robot), ("task", self.task, wanted.task)):
            if own != other and not (any_robot and what == "robot"):
                wrong.append(f"its {what} is {own}, not {other}")
        if not math.isclose(self.period, wanted.period, rel_tol=1e-6):
            wrong.append(f"its control period is {self.period}, not {wanted.period}")
        for what, names, others in (
            ("state", self.state_names, wanted.state_names),
            ("action", self.action_names, wanted.action_names),
        ):
            lacks, extra = [n for n in others if n not in names], [n for n in names if n not in others]
            if lacks or extra:
                wrong.append(f"its {what} lacks [{', '.join(lacks)}] and has unknown [{', '.join(extra)}]")
            elif names != others:
                wrong.append(f"its {what} has the same names in another order")
        if self.state_names == wanted.state_names and self.state_units != wanted.state_units:
            wrong.append("its state units differ")
        for entry, how in self.measured.items():
            if how != wanted.measured.get(entry, how):
                wrong.append(f"{entry} came from {how}, not {wanted.measured[entry]}")
        return wrong


def source_kinds(contract: RobotContract) -> dict[str, str]:
    """Kind and frame of each source, by its first state entry: one entry identifies a source.

    A velocity that is filtered otherwise than by default is another one.
    """
    how = {}
    for source in contract.sources:
        kind = source.type.rsplit("/", 1)[-1]
        if isinstance(source, ObjectSource):
            kind += f" in frame {source.frame}"
        if isinstance(source, TrackedSource) and source.derived and source.velocity_filter != VelocityFilter():
            kind += f"{FILTERED} {source.velocity_filter.time_constant_s:.6g} s"
        how[source.entries()[0]] = kind
    return how
