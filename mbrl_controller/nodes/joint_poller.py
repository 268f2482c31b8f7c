# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Joint states of a hand whose driver only answers services: asks it again and again, and publishes the answers."""

from __future__ import annotations

import importlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.task import Future
from sensor_msgs.msg import JointState

from mbrl_controller.base.errors import MbrlError, MessageError
from mbrl_controller.base.units import NO_UNIT
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher
from mbrl_controller.nodes.lifecycle import ManagedNode, run
from mbrl_controller.nodes.messages import to_time
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.nodes.parameters import Parameters, check_name
from mbrl_controller.tasks.spaces import Array

QUANTITIES = ("position", "velocity", "effort")
SPECS = [
    Spec("autostart", True, "configure and activate at the start", read_only=True),
    Spec("service", "", "the driver's service, such as leap_position"),
    Spec("type", "", "the service's type, such as leap_hand/srv/LeapPosition; its workspace must be sourced"),
    Spec("joints", [], "names of the joints, in the order of the answers", entry=str),
    *(Spec(name, "position" if name == "position" else "", f"field of the answer with the {name} of each joint, in the "
           "driver's units; a field within a field as a.b; empty: none") for name in QUANTITIES),
    Spec("rate", 60.0, "of the questions", unit="Hz", lower=1.0, upper=1000.0),
    Spec("timeout_s", 0.5, "after which a question counts as unanswered, and is asked again", lower=0.001, upper=60.0),
    Spec("max_repeats", 0, "identical answers in a row that are published: drivers repeat the last values where a read "
         "fails; 0: all, for a hand at rest measures the same too", unit=NO_UNIT, lower=0, upper=1000000),
]  # fmt: skip
REPORT_S = 1.0
SLOW = 0.8  # of the rate asked for: below it the diagnostics warn


def service_class(name: str) -> Any:
    """The class of a service type such as leap_hand/srv/LeapPosition; raises MbrlError saying how to get it."""
    parts = name.split("/")
    if len(parts) != 3 or parts[1] != "srv" or not all(part.isidentifier() for part in parts):
        raise MbrlError(f"parameter type: expected a service type such as leap_hand/srv/LeapPosition, got {name!r}")
    try:
        return getattr(importlib.import_module(f"{parts[0]}.srv"), parts[2])
    except (ImportError, AttributeError) as error:
        raise MbrlError(
            f"parameter type: {name} is not to be found ({error}): build the driver's package and source its workspace "
            "(source install/setup.bash) before this node starts"
        ) from error


def numbers_in(answer: Any, path: str) -> Array:
    """Numbers in a field, or in a field within a field, of an answer; raises MessageError naming the fields it has."""
    value = answer
    for part in path.split("."):
        if not hasattr(value, part):
            known = ", ".join(getattr(value, "get_fields_and_field_types", dict)()) or "none"
            raise MessageError(f"{type(value).__name__} has no field {part}; its fields: {known}")
        value = getattr(value, part)
    try:
        return np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError) as error:
        raise MessageError(f"{path} is no list of numbers but {type(value).__name__}") from error


class AnswerReader:
    """Answers to joint states, unless a read has failed."""

    def __init__(self, joints: Sequence[str], fields: dict[str, str], max_repeats: int) -> None:
        """`fields`: of the answer, by quantity; `max_repeats`: see the parameter."""
        self._joints, self._fields, self._max_repeats = list(joints), fields, max_repeats
        self._last: Array | None = None
        self._repeats = 0

    def read(self, answer: Any) -> JointState | None:
        """Its values, unstamped; None where they only repeat an answer once more than is allowed. Raises MessageError
        for one that cannot be a measurement."""
        message, n = JointState(name=self._joints), len(self._joints)
        rows = []
        for quantity, path in self._fields.items():
            values = numbers_in(answer, path)
            if values.shape != (n,):
                raise MessageError(f"{path} has {values.size} values for {n} joints")
            if not np.isfinite(values).all():
                raise MessageError(f"{path} has values that are no numbers")
            setattr(message, quantity, values.tolist())
            rows.append(values)
        row = np.concatenate(rows)
        same = self._last is not None and np.array_equal(row, self._last)
        self._last, self._repeats = row, self._repeats + 1 if same else 0
        return None if self._max_repeats and self._repeats > self._max_repeats else message


class JointPoller(ManagedNode):
    """Publishes `joint_states`, stamped with the middle of question and answer. Sends nothing where a read fails."""

    def __init__(self, **options: Any) -> None:
        super().__init__("joint_poller", **options)
        self._settings = Parameters(self, SPECS, lambda values: None, lambda: None)
        self._handles: list[Any] = []
        self._pending: Future | None = None
        self._asked = (0.0, 0.0)  # s: node clock, steady clock
        self._stamp = 0.0
        self._sent: deque[float] = deque(maxlen=1000)  # s, steady clock
        self.published = self.repeated = self.failed = 0
        self.problem = ""  # with the last answer

    def setup(self) -> None:
        """Read the parameters, find the service's type, make the topic."""
        values = self._settings.values()
        if not values["service"] or not values["joints"] or not values["position"]:
            raise MbrlError("parameters service, type, joints and position are needed: see docs/hands.md")
        check_name("service", values["service"], is_service=True)
        self._kind = service_class(values["type"])
        fields = {name: values[name] for name in QUANTITIES if values[name]}
        try:
            for path in fields.values():
                numbers_in(self._kind.Response(), path)
        except MessageError as error:
            raise MbrlError(f"parameters {', '.join(fields)}: {error}") from error
        self._reader = AnswerReader(values["joints"], fields, values["max_repeats"])
        self._rate, self._timeout = values["rate"], values["timeout_s"]
        self._client = self.create_client(self._kind, values["service"])
        self._publisher = self.create_publisher(JointState, "joint_states", qos.SENSOR_LOCKSTEP)
        self._diagnostics = DiagnosticsPublisher(self, "polling")
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._handles = [
            (self.destroy_timer, self.create_timer(1.0 / self._rate, self._tick, clock=steady)),
            (self.destroy_timer, self.create_timer(REPORT_S, self._report, clock=steady)),
            (self.destroy_publisher, self._publisher),
            (self.destroy_client, self._client),
        ]

    def teardown(self) -> None:
        """Leave the topic and the service."""
        for destroy, handle in self._handles:
            destroy(handle)
        self._handles, self._pending = [], None

    def _tick(self) -> None:
        """Ask, unless an answer is still awaited."""
        now = time.monotonic()
        if self._pending is not None and now - self._asked[1] > self._timeout:
            self._client.remove_pending_request(self._pending)
            self._pending = None
            self._fail(f"no answer within {self._timeout:g} s")
        if self._pending is None and self.is_active and self._client.service_is_ready():
            self._asked = self.now_s(), now
            self._pending = self._client.call_async(self._kind.Request())
            self._pending.add_done_callback(self._answered)

    def _answered(self, future: Future) -> None:
        if future is not self._pending:
            return
        self._pending = None
        if not self.is_active:
            return
        try:
            message = self._reader.read(future.result())
        except MessageError as error:
            self._fail(str(error))
            return
        stamp = (self._asked[0] + self.now_s()) / 2
        if message is None or stamp == self._stamp:  # the clock may go back, but not stand still
            self.repeated += 1
            self.problem = "the answers repeat: the driver's reads fail, or the hand is at perfect rest"
            return
        self._stamp, self.problem = stamp, ""
        message.header.stamp = to_time(stamp)
        self._publisher.publish(message)
        self.published += 1
        self._sent.append(time.monotonic())

    def _fail(self, problem: str) -> None:
        self.failed += 1
        self.problem = problem
        self.get_logger().warning(problem, throttle_duration_sec=5.0)

    def _report(self) -> None:
        now = time.monotonic()
        recent = sum(now - sent < REPORT_S for sent in self._sent) / REPORT_S
        level, text = OK, "polling"
        if not self.is_active:
            text = "not active"
        elif not self._client.service_is_ready():
            level, text = ERROR, f"no service {self._client.srv_name}: start the hand's driver"
        elif recent == 0:
            level, text = ERROR, self.problem or "no answers"
        elif recent < SLOW * self._rate:
            level, text = WARN, self.problem or "slower than asked for: lower rate, or see what delays the driver"
        values = {
            "Target frequency (Hz)": self._rate,
            "Actual frequency (Hz)": recent,
            "published": self.published,
            "failed": self.failed,
            "repeated": self.repeated,
        }
        self._diagnostics.publish(level, text, values)


def main() -> int:
    """Entry point of `joint_poller`."""
    return run(JointPoller)


if __name__ == "__main__":
    raise SystemExit(main())
