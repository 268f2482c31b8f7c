# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""ROS parameters from a table: declared with ranges, checked as a whole and taken whole or not at all."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from rclpy.exceptions import InvalidServiceNameException, InvalidTopicNameException
from rclpy.parameter import Parameter
from rclpy.validate_topic_name import validate_topic_name

from mbrl_controller.base.deprecated import new_name, silent, with_new_names
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.parameter_spec import Spec, plain

TYPES = {kind.value for kind in Parameter.Type}


def check_name(parameter: str, name: str, is_service: bool = False) -> None:
    """Raises MbrlError unless `name` can be that of a topic or service."""
    try:
        validate_topic_name(name, is_service=is_service)
    except (InvalidTopicNameException, InvalidServiceNameException) as error:
        raise MbrlError(f"parameter {parameter}: {' '.join(str(error).split())}") from error


class Parameters:
    """Declares parameters on a node. What a launch or YAML file got wrong is kept until `values` is asked.

    Args:
        node: the node.
        specs: its parameters.
        check: gets all values with a change made; raises MbrlError to refuse it.
        changed: called after a change was taken.
        renamed: new names by old name. An old one can be given, set and read, with a warning in the node's log.
    """

    def __init__(
        self,
        node: ManagedNode,
        specs: Iterable[Spec],
        check: Callable[[dict[str, Any]], None],
        changed: Callable[[], None],
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        self._node, self._check, self._changed = node, check, changed
        self._renamed = renamed or {}
        self._specs: dict[str, Spec] = {}
        self._problems: dict[str, str] = {}
        self._by_default = False
        self.given: set[str] = set()  # set by a person: command line, file or service
        self._rename_given()
        for spec in specs:
            self.declare(spec)
        self._warn_of_unknown()
        node.add_pre_set_parameters_callback(self._as_meant)
        node.add_on_set_parameters_callback(self._on_set)
        node.add_post_set_parameters_callback(self._after_set)
        self._guard_services()

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(text)

    def _new_name(self, name: str) -> str:
        return new_name(name, self._renamed, "parameter ", self._warn)

    def _rename_given(self) -> None:
        """What the command line and files give under old names; a parameter given twice becomes a problem."""
        given = self._node._parameter_overrides
        for old in sorted(given.keys() & self._renamed.keys()):
            new, parameter = self._renamed[old], given.pop(old)
            try:
                with_new_names(dict.fromkeys((old, *given)), {old: new}, "parameter ", self._warn)
                given[new] = Parameter(new, parameter.type_, parameter.value)
            except MbrlError as error:
                self._problems[new] = str(error)

    def declare(self, spec: Spec) -> None:
        """Declare one; a value given for it that does not fit becomes a problem, not an exception."""
        self._specs[spec.name] = spec
        overrides = self._node._parameter_overrides
        value = spec.parameter(spec.default)
        if spec.name in overrides:
            self.given.add(spec.name)
            value = overrides[spec.name] = spec.meant(overrides[spec.name])
            if misfit := spec.misfit(value):
                self._problems[spec.name], value = misfit, spec.parameter(spec.default)
        if spec.is_list:
            # First its type, then its value: an empty list would not tell what it is a list of.
            self._node.declare_parameter(spec.name, spec.type_, spec.descriptor(), ignore_override=True)
            self._node.set_parameters([value])
        else:
            self._node.declare_parameter(spec.name, value.value, spec.descriptor(), ignore_override=True)

    def _guard_services(self) -> None:
        """rclpy lets a parameter of a type that does not exist raise out of spin, which kills the node."""
        for service in self._node.services:
            if service.srv_type is SetParameters:
                service.callback = self._set_each
            elif service.srv_type is SetParametersAtomically:
                service.callback = self._set_all
            elif service.srv_type is GetParameters and self._renamed:
                service.callback = partial(self._get, service.callback)

    def _get(self, answer: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
        request.names = [self._new_name(name) for name in request.names]
        return answer(request, response)

    def _set_each(self, request: Any, response: Any) -> Any:
        response.results = [self._set([parameter]) for parameter in request.parameters]
        return response

    def _set_all(self, request: Any, response: Any) -> Any:
        response.result = self._set(request.parameters)
        return response

    def _set(self, asked: Sequence[ParameterMessage]) -> SetParametersResult:
        """Whatever is asked over the wire: taken, or refused with the reason."""
        try:
            parameters = []
            with_new_names(dict.fromkeys(message.name for message in asked), self._renamed, "parameter ", silent)
            for message in asked:
                message.name = self._new_name(message.name)
                if not self._node.has_parameter(message.name):
                    raise MbrlError(f"there is no parameter {message.name!r}")
                if message.value.type not in TYPES:
                    raise MbrlError(f"parameter {message.name}: there is no type {message.value.type}")
                if message.value.type == Parameter.Type.NOT_SET.value:
                    raise MbrlError(f"parameter {message.name}: cannot be undeclared")
                parameters.append(Parameter.from_parameter_msg(message))
            parameters = [p for p in self._as_meant(parameters) if not self._is_fixed_to(p)]
            for parameter in parameters:
                misfit = self._specs[parameter.name].misfit(parameter) if parameter.name in self._specs else ""
                if misfit:
                    raise MbrlError(misfit)
            if not parameters:
                return SetParametersResult(successful=True)
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
        values = self._values()
        self._check_choices(values)
        return values

    def _values(self) -> dict[str, Any]:
        return {name: plain(self._node.get_parameter(name).value) for name in self._specs}

    def set_defaults(self, defaults: dict[str, Any]) -> None:
        """Change the values of those that nobody has given."""
        wanted = [
            self._specs[name].parameter(value)
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

    def _as_meant(self, parameters: list[Parameter]) -> list[Parameter]:
        """What YAML and the command line make of a value, made what it was meant to be."""
        return [self._specs[p.name].meant(p) if p.name in self._specs else p for p in parameters]

    def _is_fixed_to(self, parameter: Parameter) -> bool:
        """Whether it is read only and has this value already, as in a file that `ros2 param dump` wrote."""
        name, before = parameter.name, self._node.get_parameter(parameter.name)
        same = (before.type_, before.value) == (parameter.type_, parameter.value)
        return same and self._node.describe_parameter(name).read_only

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        ours = {p.name: plain(p.value) for p in parameters if p.name in self._specs}
        if not ours or self._by_default:
            return SetParametersResult(successful=True)
        state = self._node.lifecycle_state
        before = self._values()
        fixed = [name for name, value in ours.items() if not self._specs[name].live and value != before[name]]
        if fixed and state != "unconfigured":
            reason = f"{', '.join(fixed)}: can be changed only while the node is unconfigured (it is {state})"
            return SetParametersResult(successful=False, reason=reason)
        values = before | ours
        try:
            self._check_choices(values)
            self._check(values)
        except MbrlError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _check_choices(self, values: dict[str, Any]) -> None:
        for name, spec in self._specs.items():
            given = values[name] if spec.is_list else [values[name]]
            if spec.choices and not set(given) <= set(spec.choices):
                is_not = "has other entries than" if spec.is_list else "is not one of"
                raise MbrlError(f"parameter {name}: {values[name]!r} {is_not} {', '.join(spec.choices)}")

    def _after_set(self, parameters: list[Parameter]) -> None:
        names = {p.name for p in parameters} & set(self._specs)
        if not names or self._by_default:
            return
        self.given |= names
        for name in names:
            self._problems.pop(name, None)
        self._changed()
