# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The first start: a launch configures and activates its nodes once."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from launch import Action, LaunchContext
from launch.logging import get_logger
from launch_ros.actions import LifecycleNode
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState

PERIOD_S = 0.05  # how often services and answers are looked for
PATIENCE_S = 5.0  # after which the state is asked for too: on a busy machine DDS may lose an answer
STATES = {"configure": ("unconfigured", "inactive"), "activate": ("inactive", "active")}  # before, after


@dataclass(frozen=True)
class Step:
    """A transition to request from a node."""

    node: LifecycleNode
    transition: str  # configure or activate


class FirstStart(Action):
    """Requests the steps one after the other, each once the one before has succeeded.

    A refusal ends it, and so does the end of the `needed` node; steps of other nodes that ended are skipped. It acts
    only on answers to its own requests, so a person's transitions do not disturb it.

    `has_ended` says whether a node's first process is gone: nobody would ever answer.
    """

    def __init__(
        self, steps: Sequence[Step], needed: LifecycleNode, has_ended: Callable[[LifecycleNode], bool]
    ) -> None:
        super().__init__()
        self._steps, self._needed, self._has_ended = steps, needed, has_ended
        self._done: asyncio.Task[None] | None = None

    def execute(self, context: LaunchContext) -> None:
        """Begin, beside the rest of the launch."""
        self._done = context.asyncio_loop.create_task(self._run(context))

    def get_asyncio_future(self) -> asyncio.Task[None] | None:
        """Launch waits for this before it is idle."""
        return self._done

    async def _run(self, context: LaunchContext) -> None:
        steps = iter(self._steps)
        for step in steps:
            done = await self._ask(context, step)
            if done is None and (context.is_shutdown or self._has_ended(self._needed)):
                return
            if done is False:
                log = get_logger("launch")
                log.error(f"{step.node.node_name} refused to {step.transition}: its log says why")
                for command in _commands([step, *steps]):
                    log.error(f"once that is mended: {command}")
                return

    async def _ask(self, context: LaunchContext, step: Step) -> bool | None:
        """Whether the node did it; None if it, or the launch, ended first."""

        def is_over() -> bool:
            return context.is_shutdown or self._has_ended(step.node)

        if is_over():
            return None
        number = getattr(Transition, f"TRANSITION_{step.transition.upper()}")
        before, after = STATES[step.transition]
        # Not by launch_ros's ChangeState event: its request to a node that is gone never ends, nor does the launch.
        change = _Request(context, step.node, "change_state", ChangeState, transition=Transition(id=number))
        look = _Request(context, step.node, "get_state", GetState)
        while not is_over():
            if (done := change.poll()) is not None:
                return bool(done.success)
            if change.waited_s() > PATIENCE_S and (found := look.poll()) is not None:
                if found.current_state.label in (before, after):
                    return bool(found.current_state.label == after)
                look = _Request(context, step.node, "get_state", GetState)  # still on its way
            await asyncio.sleep(PERIOD_S)
        return None


class _Request:
    """A call of a node's service, sent as soon as the service is there."""

    def __init__(self, context: LaunchContext, node: LifecycleNode, service: str, kind: Any, **fields: Any) -> None:
        self._client = get_ros_node(context).create_client(kind, f"{node.node_name}/{service}")
        self._request = kind.Request(**fields)
        self._answer: Any = None
        self._sent = math.inf

    def poll(self) -> Any | None:
        """The answer, once there is one."""
        if self._answer is None and self._client.service_is_ready():
            self._answer, self._sent = self._client.call_async(self._request), time.monotonic()
        return self._answer.result() if self._answer is not None and self._answer.done() else None

    def waited_s(self) -> float:
        """s since it was sent; below 0 before."""
        return time.monotonic() - self._sent


def _commands(steps: Sequence[Step]) -> Iterator[str]:
    """Commands by which a person does the steps."""
    for step in steps:
        yield f"ros2 lifecycle set {step.node.node_name} {step.transition}"
