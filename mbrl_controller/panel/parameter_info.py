# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a parameter's descriptor says, as a form needs it. No ROS in it but the descriptor that is read."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from rclpy.parameter import Parameter

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig

LIVE = "Changeable at any time."
_UNIT = re.compile(r"\bUnit: (.+?)\.(?= |$)")
_CHOICES = "One of: "
GROUPS = ("Goal and episodes", "Safety", "Control", "Planner", "Risk", "Model", "Diagnostics")


@dataclass(frozen=True)
class ParameterInfo:
    """One parameter. `lower` and `upper` are infinite where there is no bound."""

    name: str
    kind: Parameter.Type
    description: str
    unit: str = ""
    live: bool = False
    lower: float = -math.inf
    upper: float = math.inf
    choices: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Short name with its unit."""
        own = self.name.rpartition(".")[2].removesuffix(f"_{self.unit}").replace("_", " ")
        return f"{own} ({self.unit})" if self.unit else own

    @property
    def group(self) -> str:
        """One of GROUPS."""
        prefix, _, own = self.name.rpartition(".")
        if prefix in ("planner", "risk", "diagnostics"):
            return prefix.capitalize()
        for group, fields in (
            ("Goal and episodes", SessionConfig.model_fields),
            ("Safety", SafetyConfig.model_fields),
            ("Control", ControllerConfig.model_fields),
        ):
            if own in fields:
                return group
        return "Safety" if own.startswith("e_stop") else "Model" if own in _MODEL else "Control"

    @property
    def is_number(self) -> bool:
        """Whether it is one number."""
        return self.kind in (Parameter.Type.INTEGER, Parameter.Type.DOUBLE)

    def slides(self, value: float) -> bool:
        """Whether a slider suits its range: bounded, and not so wide that `value` could not be set well."""
        if not (self.is_number and math.isfinite(self.lower) and math.isfinite(self.upper)):
            return False
        return self.upper - self.lower <= max(100.0 * abs(value), 1.0)

    @property
    def step(self) -> float:
        """Of a slider: 1, or a power of ten of which its range has 100 to 1000."""
        if self.kind == Parameter.Type.INTEGER:
            return 1
        return float(10.0 ** math.floor(math.log10((self.upper - self.lower) / 100.0)))

    def parse(self, text: str) -> Any:
        """The value of a list that is written as JSON; raises MbrlError."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise MbrlError(f"{self.name}: {text!r:.60} is no list: {error}") from error
        if not isinstance(value, list):
            raise MbrlError(f"{self.name}: {text!r:.60} is no list")
        return [float(one) for one in value] if self.kind == Parameter.Type.DOUBLE_ARRAY else value


_MODEL = ("model_version", "mix", "precision", "policy")


def read_descriptor(descriptor: Any) -> ParameterInfo:
    """From an rcl_interfaces ParameterDescriptor."""
    lower, upper = -math.inf, math.inf
    for found in (*descriptor.floating_point_range, *descriptor.integer_range):
        lower, upper = float(found.from_value), float(found.to_value)
    unit = _UNIT.search(descriptor.description)
    constraints = descriptor.additional_constraints
    choices: tuple[str, ...] = ()
    if constraints.startswith(_CHOICES):
        choices = tuple(constraints.removeprefix(_CHOICES).split(", "))
    wide = 2.0**62  # stands for no bound in an integer range
    return ParameterInfo(
        name=descriptor.name,
        kind=Parameter.Type(descriptor.type),
        description=descriptor.description.removesuffix(LIVE).strip() + (f" {constraints}." if constraints else ""),
        unit=unit[1] if unit else "",
        live=not descriptor.read_only and descriptor.description.endswith(LIVE),
        lower=lower if lower > -wide else -math.inf,
        upper=upper if upper < wide else math.inf,
        choices=choices,
    )
