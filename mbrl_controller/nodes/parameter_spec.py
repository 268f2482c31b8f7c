# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What one ROS parameter is: its type, default, description, unit and range, and what a given value means for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.parameter import Parameter

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import comma_hint, has_decimal_comma
from mbrl_controller.base.units import NO_UNIT, Unit, unit_in_name
from mbrl_controller.base.yaml_text import load_yaml

INT_MAX = 2**63 - 1
ARRAYS = {
    bool: Parameter.Type.BOOL_ARRAY,
    int: Parameter.Type.INTEGER_ARRAY,
    float: Parameter.Type.DOUBLE_ARRAY,
    str: Parameter.Type.STRING_ARRAY,
}
EXPECTED = {
    Parameter.Type.BOOL: "true or false",
    Parameter.Type.INTEGER: "a whole number",
    Parameter.Type.DOUBLE: "a number",
    Parameter.Type.STRING: "text",
    Parameter.Type.BOOL_ARRAY: "a list of true and false",
    Parameter.Type.INTEGER_ARRAY: "a list of whole numbers",
    Parameter.Type.DOUBLE_ARRAY: "a list of numbers",
    Parameter.Type.STRING_ARRAY: "a list of texts",
}


@dataclass(frozen=True)
class Spec:
    """One parameter. Its type is its default's. `live` ones may change at any time, others while unconfigured."""

    name: str
    default: Any
    description: str  # a phrase, without its unit
    unit: str = ""  # of a number; empty: the one its name ends in
    live: bool = False
    read_only: bool = False
    lower: float | None = None  # of each entry, where it is a list
    upper: float | None = None
    above_lower: bool = False  # `lower` itself is refused
    below_upper: bool = False
    choices: tuple[str, ...] = ()
    entry: type | None = None  # of a list whose default is empty
    normal: Callable[[str], str] | None = None  # the one form in which a text is kept; raises MbrlError

    @property
    def type_(self) -> Parameter.Type:
        """As ROS has it."""
        if self.is_list:
            return ARRAYS[self.entry or type(self.default[0])]
        scalar: Parameter.Type = Parameter.Type.from_parameter_value(self.default)
        return scalar

    @property
    def is_list(self) -> bool:
        """Whether it is an array."""
        return isinstance(self.default, list | tuple)

    @property
    def is_number(self) -> bool:
        """Whether it, or each of its entries, is a number."""
        numbers = ("INTEGER", "DOUBLE", "INTEGER_ARRAY", "DOUBLE_ARRAY")
        return self.type_ in {Parameter.Type[name] for name in numbers}

    def parameter(self, value: Any) -> Parameter:
        """With this value."""
        return Parameter(self.name, self.type_, list(value) if self.is_list else type(self.default)(value))

    def descriptor(self) -> ParameterDescriptor:
        """As `ros2 param describe` shows it."""
        when = "Read only" if self.read_only else "Changeable " + ("at any time" if self.live else "while unconfigured")
        unit = self.unit or unit_in_name(self.name)
        unit = "" if not self.is_number else " No unit." if unit == NO_UNIT else f" Unit: {unit}."
        descriptor = ParameterDescriptor(
            name=self.name,
            description=f"{self.description[:1].upper()}{self.description[1:]}.{unit} {when}.",
            read_only=self.read_only,
            additional_constraints=self._constraints(),
        )
        if self.is_list or (self.lower is None and self.upper is None):
            return descriptor
        if isinstance(self.default, float):
            low = -math.inf if self.lower is None else float(self.lower)
            high = math.inf if self.upper is None else float(self.upper)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        else:
            low_int = -INT_MAX if self.lower is None else int(self.lower)
            high_int = INT_MAX if self.upper is None else int(self.upper)
            descriptor.integer_range = [IntegerRange(from_value=low_int, to_value=high_int, step=1)]
        return descriptor

    def meant(self, parameter: Parameter) -> Parameter:
        """What YAML and the command line made of a value, made what it was meant to be: 20 is 20.0 where a number is
        wanted, [] an empty list of whatever is wanted, and the text [1, 0.5] a list of numbers."""
        value = parameter.value
        try:
            if self.type_ == Parameter.Type.DOUBLE and parameter.type_ == Parameter.Type.INTEGER:
                return self.parameter(value)
            if self.is_list:
                if isinstance(value, str):  # ros2cli takes a list of whole and broken numbers for text
                    value = _list_in(value)
                if isinstance(value, Iterable) and _fits(value, self.type_):
                    return self.parameter(map(float, value) if self.type_ == Parameter.Type.DOUBLE_ARRAY else value)
            elif self.normal is not None and isinstance(value, str):
                return self.parameter(self.normal(value))
        except (MbrlError, OverflowError):
            pass  # refused with its reason where it is checked
        return parameter

    def misfit(self, parameter: Parameter) -> str:
        """What is wrong with a parameter's type or size, in words; empty if nothing is."""
        value = parameter.value
        if parameter.type_ != self.type_:
            wanted = EXPECTED[self.type_]
            return f"parameter {self.name}: expected {wanted}, got {plain(value)!r}{self._advice(value)}"
        entries = value if self.is_list else [value]
        if self.is_number and not all(self._in_range(entry) for entry in entries):
            return f"parameter {self.name}: {plain(value)} is not {self.range_text}"
        return ""

    def _advice(self, value: Any) -> str:
        if self.is_number and has_decimal_comma(value):
            return comma_hint(value)
        if self.type_ == Parameter.Type.STRING and isinstance(value, bool | int | float):
            return f"; on a command line, quote it twice: \"'{value}'\""
        return ""

    def _in_range(self, number: float) -> bool:
        low = self.lower is None or number > self.lower or (number == self.lower and not self.above_lower)
        return low and (self.upper is None or number < self.upper or (number == self.upper and not self.below_upper))

    @property
    def range_text(self) -> str:
        """The numbers that are allowed, in words; empty: all."""
        if None not in (self.lower, self.upper) and not (self.above_lower or self.below_upper):
            return f"from {self.lower:g} to {self.upper:g}"
        low = "" if self.lower is None else f"{'above' if self.above_lower else 'at least'} {self.lower:g}"
        high = "" if self.upper is None else f"{'below' if self.below_upper else 'at most'} {self.upper:g}"
        return " and ".join(side for side in (low, high) if side)

    def _constraints(self) -> str:
        if self.choices:
            return f"{'Each entry one' if self.is_list else 'One'} of: {', '.join(self.choices)}"
        if self.is_list and self.range_text:
            return f"Each entry {self.range_text}"
        if self.above_lower or self.below_upper:
            return self.range_text.capitalize()  # a range of ROS has its ends in it
        return ""


def spec_of(field_name: str, field: FieldInfo, *, name: str = "", live: bool = False) -> Spec:
    """The parameter for a field of a configuration model: its default, description, unit and bounds."""
    entry, of_entries = _entries(field.annotation)
    found: dict[str, Any] = {}
    for constraint in [*field.metadata, *of_entries]:
        if isinstance(constraint, Unit):
            found["unit"] = constraint.name
        for kind, side, open_end in (
            ("ge", "lower", ""),
            ("gt", "lower", "above_lower"),
            ("le", "upper", ""),
            ("lt", "upper", "below_upper"),
        ):
            if getattr(constraint, kind, None) is not None:
                found[side] = getattr(constraint, kind)
                found |= {open_end: True} if open_end else {}
    choices = tuple(c for c in (*get_args(field.annotation), *of_entries) if isinstance(c, str))
    return Spec(
        name or field_name, field.default, field.description or "", live=live, choices=choices, entry=entry, **found
    )


def _entries(annotation: Any) -> tuple[type | None, tuple[Any, ...]]:
    """Type of the entries of a field that is a tuple of any length, and their constraints, or the texts that they are
    one of; None and nothing for another."""
    if get_origin(annotation) is not tuple:
        return None, ()
    of = get_args(annotation)[0]
    if get_origin(of) is Literal:
        return str, get_args(of)
    if get_origin(of) is not Annotated:
        return of, ()
    kind, *metadata = get_args(of)
    return kind, tuple(
        part for entry in metadata for part in (entry.metadata if isinstance(entry, FieldInfo) else [entry])
    )


def specs_of(model: type[BaseModel], prefix: str = "", live: Iterable[str] = ()) -> list[Spec]:
    """A parameter for each field of a configuration model."""
    live = set(live)
    return [spec_of(n, f, name=prefix + n, live=n in live) for n, f in model.model_fields.items()]


def plain(value: Any) -> Any:
    """A parameter's value; a list for each kind of array."""
    return value if value is None or isinstance(value, bool | int | float | str) else list(value)


def _list_in(text: str) -> list[Any] | None:
    try:
        value = load_yaml(text)
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def _fits(values: Iterable[Any], type_: Parameter.Type) -> bool:
    """Whether a list is one of that type. Whole numbers are numbers, truth values are none."""
    if type_ == Parameter.Type.BOOL_ARRAY:
        return all(isinstance(value, bool) for value in values)
    numbers: dict[Parameter.Type, tuple[type, ...]] = {
        Parameter.Type.INTEGER_ARRAY: (int,),
        Parameter.Type.DOUBLE_ARRAY: (int, float),
    }
    kinds = numbers.get(type_, (str,))
    return all(isinstance(value, kinds) and not isinstance(value, bool) for value in values)
