# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The base of all lifecycle nodes: transitions that say what went wrong, and a clean exit.

Subclasses fill `setup` (configure), `start` (activate), `stop` (deactivate) and `teardown` (clean up).
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import rclpy
from lifecycle_msgs.msg import State
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from mbrl_controller.base.deprecated import show_renamed
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.nodes.spinning import Spinner


@dataclass(frozen=True)
class LifecycleChange:
    """An attempted transition and its result; reason is empty after success."""

    stamp: float  # s, node clock
    transition: str
    success: bool
    reason: str


class ManagedNode(LifecycleNode):
    """Transitions never raise: after a failed one the node stays in its state, and `reason` says why."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.reason = "not configured"
        self.changes: deque[LifecycleChange] = deque(maxlen=100)
        self._transition_lock = threading.RLock()
        self._guard_change_service()

    # --- for subclasses -----------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Configure: read parameters and files, create what is needed; raise MbrlError to stay unconfigured."""

    def start(self) -> None:
        """Activate; raise MbrlError to stay inactive."""

    def stop(self) -> None:
        """Deactivate, with the safe command first. Also called on the way out."""

    def halt(self) -> None:
        """Called first on the way out, on another thread than the executor's, while callbacks may still run: stop
        moving at once, and release waiting callbacks. Destroy nothing here."""

    def teardown(self) -> None:
        """Undo `setup`, even if it failed half-way."""

    def reason_changed(self) -> None:
        """Called after each attempted transition."""

    # --- state --------------------------------------------------------------------------------------------------

    @property
    def lifecycle_state(self) -> str:
        """unconfigured, inactive, active or finalized (or a transition's name)."""
        return str(self._state_machine.current_state[1])

    def now_s(self) -> float:
        """s, node clock."""
        return 1e-9 * float(self.get_clock().now().nanoseconds)

    @property
    def is_active(self) -> bool:
        """Whether `start` has been called and `stop` has not."""
        return bool(self._state_machine.current_state[0] == State.PRIMARY_STATE_ACTIVE)

    def bring_up(self, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Configure and activate, the latter if it still is `wanted`; False, with the reason, if either fails."""
        with self._transition_lock:
            done = TransitionCallbackReturn.SUCCESS
            if self.lifecycle_state == "unconfigured" and self.trigger_configure() != done:
                return False
            return wanted() and self.lifecycle_state == "inactive" and self.trigger_activate() == done

    def give_up(self, reason: str) -> None:
        """Deactivate, because activation turned out to be wrong."""
        with self._transition_lock:
            if self.is_active:
                self.trigger_deactivate()
                self.reason = f"activate failed: {reason}"
                self.get_logger().error(self.reason)
                self.reason_changed()

    def bring_down(self) -> None:
        """Deactivate and clean up from any state, without raising."""
        with self._transition_lock:
            if self.lifecycle_state == "active":
                self.trigger_deactivate()
            if self.lifecycle_state == "inactive":
                self.trigger_cleanup()

    # --- transition callbacks of rclpy --------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See setup."""

        def configure() -> None:
            self.setup()
            # A full collection takes 15 ms with rclpy loaded, in whatever thread happens to trigger it.
            gc.collect()
            gc.freeze()

        return self._transition("configure", configure, undo=self.teardown)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See start."""
        return self._transition(
            "activate", self.start, undo=self.stop, then=lambda: super(ManagedNode, self).on_activate(state)
        )

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See stop; never fails, since there is no safer state to remain in."""
        self._transition("deactivate", self.stop, then=lambda: super(ManagedNode, self).on_deactivate(state))
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See teardown."""
        self._transition("clean up", self.teardown)
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and tear down from any state."""
        if state.state_id == State.PRIMARY_STATE_ACTIVE:
            self._transition("deactivate", self.stop)
        if state.state_id != State.PRIMARY_STATE_UNCONFIGURED:
            self._transition("clean up", self.teardown)
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End everything and return to unconfigured, from where a person can try again."""
        for undo in (self.stop, self.teardown):
            self._attempt(undo)
        return TransitionCallbackReturn.SUCCESS

    def _transition(
        self,
        name: str,
        work: Callable[[], None],
        undo: Callable[[], None] | None = None,
        then: Callable[[], object] | None = None,
    ) -> TransitionCallbackReturn:
        with self._transition_lock:
            reason = self._attempt(work)
            if reason and undo is not None:
                self._attempt(undo)
            if not reason and then is not None:
                then()
            self.changes.append(LifecycleChange(self.now_s(), name, not reason, reason))
            self.reason = f"{name} failed: {reason}" if reason else f"{name} succeeded"
            if reason:
                self.get_logger().error(self.reason)
            self.reason_changed()
            return TransitionCallbackReturn.FAILURE if reason else TransitionCallbackReturn.SUCCESS

    def _attempt(self, work: Callable[[], None]) -> str:
        """Empty, or why it failed. An error meant for people is its text, anything else its traceback too."""
        try:
            work()
        except MbrlError as error:
            return str(error)
        except Exception as error:
            self.get_logger().error(f"unexpected error:\n{traceback.format_exc()}")
            return f"{type(error).__name__}: {error}"
        return ""

    def _guard_change_service(self) -> None:
        """Jazzy's rclpy lets an illegal transition raise out of spin, which kills the node (rclpy issue 1209)."""
        service = self._service_change_state
        original = service.callback

        def change_state(request: Any, response: Any) -> Any:
            try:
                with self._transition_lock:
                    return original(request, response)
            except Exception as error:
                wanted = request.transition.label or request.transition.id
                self.get_logger().warning(
                    f"transition {wanted} refused in state {self.lifecycle_state}: {' '.join(str(error).split())}"
                )
                response.success = False
                return response

        service.callback = change_state


def run(
    make_node: Callable[[], Node],
    args: Sequence[str] | None = None,
    *,
    until: Callable[[Node], bool] | None = None,
) -> int:
    """Run a node until SIGINT or SIGTERM (or `until` says so, asked every 50 ms); the exit code.

    On the way out the node is halted first; then the executor's thread ends; only then is the node deactivated and
    cleaned up, while it can still publish: an executor that still waits for what is destroyed would raise. A parameter
    `autostart` that is true configures and activates the node before its callbacks run, for the same reason: what fails
    is cleaned up.
    """
    leave = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave.set())
    rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    node: Node | None = None
    try:
        try:
            node = make_node()
            show_renamed(node.get_logger().warning)
        except MbrlError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        spinner = None
        try:
            if isinstance(node, ManagedNode) and _autostart(node):
                node.bring_up(wanted=lambda: not leave.is_set())
            spinner = Spinner(node, "executor", on_end=leave.set)
            while not leave.wait(0.05 if until is not None else None):
                if until is not None and until(node):
                    break
        finally:
            if isinstance(node, ManagedNode):
                node._attempt(node.halt)
            if spinner is not None:
                spinner.stop()
            if isinstance(node, ManagedNode):
                node.bring_down()
        return 1 if spinner.failed else 0
    finally:
        if node is not None:
            with suppress(Exception):
                node.destroy_node()
        rclpy.try_shutdown()
        # Ctrl-C reaches a node twice, from the terminal and from launch; the second would kill a Python that ends.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _autostart(node: Node) -> bool:
    return node.has_parameter("autostart") and node.get_parameter("autostart").type_ == Parameter.Type.BOOL and bool(
        node.get_parameter("autostart").value
    )  # fmt: skip
