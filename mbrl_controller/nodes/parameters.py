"""ROS parameters from a table: described, with ranges, checked as a whole and taken whole or not at all."""

from __future__ import annotations

import difflib
import math
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.exceptions import InvalidServiceNameException, InvalidTopicNameException, ParameterException
from rclpy.parameter import Parameter
from rclpy.validate_topic_name import validate_topic_name

from mbrl_controller.errors import MbrlError
from mbrl_controller.nodes.lifecycle import ManagedNode

INT_MAX = 2**63 - 1
TYPES = {kind.value for kind in Parameter.Type}


@dataclass(frozen=True)
class Spec:
    """One parameter. Its type is its default's. `live` ones may change at any time, others while unconfigured."""

    name: str
    default: Any
    description: str
    live: bool = False
    read_only: bool = False
    lower: float | None = None
    upper: float | None = None
    choices: tuple[str, ...] = ()

    def descriptor(self) -> ParameterDescriptor:
        """As `ros2 param describe` shows it."""
        when = "read only" if self.read_only else "changeable at any time" if self.live else "while unconfigured"
        descriptor = ParameterDescriptor(
            name=self.name,
            description=f"{self.description} ({when})",
            read_only=self.read_only,
            additional_constraints=f"one of: {', '.join(self.choices)}" if self.choices else "",
            dynamic_typing=self.default == (),  # ROS cannot tell what an empty list is a list of
        )
        if self.lower is None and self.upper is None:
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


def spec_of(field_name: str, field: FieldInfo, *, name: str = "", live: bool = False) -> Spec:
    """The parameter for a field of a configuration model: its default, description and bounds."""
    bounds: dict[str, float] = {}
    for constraint in field.metadata:
        for kind, side in (("ge", "lower"), ("gt", "lower"), ("le", "upper"), ("lt", "upper")):
            if hasattr(constraint, kind):
                bounds[side] = getattr(constraint, kind)
    choices = tuple(c for c in get_args(field.annotation) if isinstance(c, str))
    description = field.description or field_name.replace("_", " ")
    return Spec(name or field_name, field.default, description, live=live, choices=choices, **bounds)  # type: ignore[arg-type]


def check_name(parameter: str, name: str, is_service: bool = False) -> None:
    """Raises MbrlError unless `name` can be that of a topic or service."""
    try:
        validate_topic_name(name, is_service=is_service)
    except (InvalidTopicNameException, InvalidServiceNameException) as error:
        raise MbrlError(f"parameter {parameter}: {' '.join(str(error).split())}") from error


def specs_of(model: type[BaseModel], prefix: str = "", live: Iterable[str] = ()) -> list[Spec]:
    """A parameter for each field of a configuration model."""
    live = set(live)
    return [spec_of(n, f, name=prefix + n, live=n in live) for n, f in model.model_fields.items()]


class Parameters:
    """Declares `specs` on `node`. `check` gets all values with a change made, and raises MbrlError to refuse it;
    `changed` is told after a change was taken. What a launch or YAML file got wrong is kept until `values` is asked.
    """

    def __init__(
        self,
        node: ManagedNode,
        specs: Iterable[Spec],
        check: Callable[[dict[str, Any]], None],
        changed: Callable[[], None],
    ) -> None:
        self._node, self._check, self._changed = node, check, changed
        self._specs: dict[str, Spec] = {}
        self._problems: dict[str, str] = {}
        self._by_default = False
        self.given: set[str] = set()  # set by a person: command line, file or service
        for spec in specs:
            self.declare(spec)
        self._warn_of_unknown()
        node.add_pre_set_parameters_callback(self._integers_as_floats)
        node.add_on_set_parameters_callback(self._on_set)
        node.add_post_set_parameters_callback(self._after_set)
        self._guard_services()

    def declare(self, spec: Spec) -> None:
        """Declare one; a value given for it that does not fit becomes a problem, not an exception."""
        self._specs[spec.name] = spec
        overrides = self._node._parameter_overrides
        if spec.name in overrides:
            self.given.add(spec.name)
            overrides[spec.name] = self._integers_as_floats([overrides[spec.name]])[0]
        try:
            self._node.declare_parameter(spec.name, spec.default, spec.descriptor())
        except ParameterException as error:
            self._problems[spec.name] = f"parameter {spec.name}: {error}"
            self._node.declare_parameter(spec.name, spec.default, spec.descriptor(), ignore_override=True)

    def _guard_services(self) -> None:
        """rclpy lets a parameter of a type that does not exist raise out of spin, which kills the node."""
        for service in self._node.services:
            if service.srv_type is SetParameters:
                service.callback = self._set_each
            elif service.srv_type is SetParametersAtomically:
                service.callback = self._set_all

    def _set_each(self, request: Any, response: Any) -> Any:
        response.results = [self._set([parameter]) for parameter in request.parameters]
        return response

    def _set_all(self, request: Any, response: Any) -> Any:
        response.result = self._set(request.parameters)
        return response

    def _set(self, asked: Iterable[ParameterMessage]) -> SetParametersResult:
        """Whatever is asked over the wire: taken, or refused with the reason."""
        try:
            parameters = []
            for message in asked:
                if not self._node.has_parameter(message.name):
                    raise MbrlError(f"there is no parameter {message.name!r}")
                if message.value.type not in TYPES:
                    raise MbrlError(f"parameter {message.name}: there is no type {message.value.type}")
                if message.value.type == Parameter.Type.NOT_SET.value:
                    raise MbrlError(f"parameter {message.name}: cannot be undeclared")
                parameters.append(Parameter.from_parameter_msg(message))
            return self._node.set_parameters_atomically(parameters)
        except MbrlError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # a defect must be seen, and must not end the node
            self._node.get_logger().error(f"unexpected error:\n{traceback.format_exc()}")
            return SetParametersResult(successful=False, reason=f"unexpected error: {type(error).__name__}: {error}")

    def _warn_of_unknown(self) -> None:
        """ROS ignores given parameters that no one declares, and so hides a misspelt name."""
        for name in self._node._parameter_overrides:
            if not self._node.has_parameter(name) and not name.startswith("qos_overrides."):
                near = difflib.get_close_matches(name, self._specs, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                self._node.get_logger().warning(f"unknown parameter {name} is ignored{hint}")

    def values(self) -> dict[str, Any]:
        """All values by name; raises MbrlError where a given one does not fit."""
        if self._problems:
            raise MbrlError("; ".join(self._problems.values()))
        values = {name: self._node.get_parameter(name).value for name in self._specs}
        self._check_choices(values)
        return values

    def set_defaults(self, defaults: dict[str, Any]) -> None:
        """Change the values of those that nobody has given."""
        wanted = [
            Parameter(name, value=type(self._specs[name].default)(value))
            for name, value in defaults.items()
            if name in self._specs and name not in self.given
        ]
        self._by_default = True
        try:
            if wanted:
                result = self._node.set_parameters_atomically(wanted)
                if not result.successful:
                    raise MbrlError(f"the task's defaults do not fit: {result.reason}")
        finally:
            self._by_default = False

    def _integers_as_floats(self, parameters: list[Parameter]) -> list[Parameter]:
        """20 where 20.0 is meant: YAML and the command line make an integer of it, which rclpy would refuse."""
        return [
            Parameter(p.name, Parameter.Type.DOUBLE, float(p.value))
            if p.type_ == Parameter.Type.INTEGER and p.name in self._specs and self._is_float(p.name)
            else p
            for p in parameters
        ]

    def _is_float(self, name: str) -> bool:
        return isinstance(self._specs[name].default, float)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        ours = {p.name: p.value for p in parameters if p.name in self._specs}
        if not ours or self._by_default:
            return SetParametersResult(successful=True)
        state = self._node.lifecycle_state
        fixed = [name for name in ours if not self._specs[name].live]
        if fixed and state != "unconfigured":
            reason = f"{', '.join(fixed)}: can be changed only while the node is unconfigured (it is {state})"
            return SetParametersResult(successful=False, reason=reason)
        values = {name: self._node.get_parameter(name).value for name in self._specs} | ours
        try:
            self._check_choices(values)
            self._check(values)
        except MbrlError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _check_choices(self, values: dict[str, Any]) -> None:
        for name, spec in self._specs.items():
            if spec.choices and values[name] not in spec.choices:
                raise MbrlError(f"parameter {name}: {values[name]!r} is not one of {', '.join(spec.choices)}")

    def _after_set(self, parameters: list[Parameter]) -> None:
        names = {p.name for p in parameters} & set(self._specs)
        if not names or self._by_default:
            return
        self.given |= names
        for name in names:
            self._problems.pop(name, None)
        self._changed()
