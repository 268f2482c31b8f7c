# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Everything that a configured controller has, in one object: built whole, and closed whole."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.base.errors import GoalError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.heads import used_heads, who_acts
from mbrl_controller.control.safety import Safety
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.standing import Standing
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import ControlModel
from mbrl_controller.nodes import messages, qos
from mbrl_controller.nodes.controller_graph import CommandArbiter, ControllerGraph
from mbrl_controller.nodes.controller_model import describe, make_model, warn_of_fallback
from mbrl_controller.nodes.controller_options import ControllerOptions, check_goal_options
from mbrl_controller.nodes.controller_output import ControllerOutput
from mbrl_controller.nodes.controller_report import ControllerReport, Counters
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.messages import message_class
from mbrl_controller.nodes.model_swap import ModelSwap
from mbrl_controller.nodes.polling import polled_subscription
from mbrl_controller.nodes.scene_reset import SceneReset
from mbrl_controller.nodes.simulated_clock import SimulatedClock
from mbrl_controller.nodes.state_publishers import StatePublishers

Polled = tuple[Any, Callable[..., None], Callable[..., None]]


class ConfiguredController:
    """The session of a contract and a model, and its topics and services."""

    def __init__(
        self,
        node: ManagedNode,
        contract: RobotContract,
        options: ControllerOptions,
        standing: Standing,
        counters: Counters,
        swapped: Callable[[], None],
    ) -> None:
        """Check the options against the contract, load the planner's model, subscribe to the state; raises MbrlError.

        Args:
            node: makes the topics and services.
            contract: of the hand.
            options: may be replaced while it lives.
            standing: what is latched in this process.
            counters: count what is rejected and refused.
            swapped: called after each swap of the model.
        """
        self.contract, self.options = contract, options
        self.period = options.period(contract.action.period)
        check_goal_options(contract, options)
        planner = options.make_planner(len(contract.action))
        model = make_model(contract, options)
        safety = Safety(contract.action, options.safety, contract.file.command.safe, standing)
        core = ControllerCore(
            contract,
            model,
            planner,
            options.core,
            safety,
            options.session.seed,
            active=False,
            acting=options.acting,
        )
        self.inputs = StateInput(contract, lambda: self.on_complete_state(), counters.rejections)
        self.on_complete_state: Callable[[], None] = lambda: None
        self.arbiter = CommandArbiter(node, contract)
        self.report = ControllerReport()
        self.command_profile = qos.command(None if options.lockstep else contract.action.period)
        self.polled: list[Polled] = []  # subscription, its callback, and who hears of each message's number
        self._node, self._counters = node, counters
        with ExitStack() as undo:
            self.scene = None
            if options.reset_service:
                self.scene = SceneReset(node, options.reset_service, self._scene_was_reset)
                undo.callback(self.scene.close)
            self.output = ControllerOutput(node, contract)
            undo.callback(self.output.close)
            self.graph = ControllerGraph(node, contract, self.command_profile, self.output.listeners)
            self.clock = SimulatedClock(node) if uses_simulated_time(node, options) else None
            if self.clock is not None:
                undo.callback(self.clock.close)
            self.session = ControlSession(
                core,
                self.inputs,
                options.session,
                self.output.send,
                lockstep=options.lockstep,
                reset_scene=self.scene.ask if self.scene else None,
                simulated=self.clock.time if self.clock else None,
                send_correction=self.output.send_correction,
            )
            self._connect(undo)
            swap = ModelSwap(
                node,
                contract,
                self.session,
                counters,
                options=lambda: self.options,
                check=self.check,
                swapped=swapped,
            )
            undo.callback(swap.close)
            self._undo = undo.pop_all()
        node.get_logger().info(
            f"{contract.file.robot}, task {contract.task.name}, {describe(model)}, {_acts(core)}, "
            f"{1 / self.period:.6g} Hz{', in lockstep' if options.lockstep else ''}"
        )
        warn_of_fallback(node.get_logger(), model)

    def close(self) -> None:
        """Leave all topics and services."""
        self._undo.close()

    def elapsed(self, when: float) -> float:
        """`when` (s, time.monotonic) on the clock that measures silence: simulated time, where that is used."""
        return when if self.clock is None else self.clock.time.at(when)

    def reconfigure(self, options: ControllerOptions) -> None:
        """Use new options from the next step on."""
        self.options = options
        planner = options.make_planner(len(self.contract.action))
        self.session.reconfigure(
            planner, options.core, options.safety, options.session, self._node.now_s(), options.acting
        )

    def check(self, options: ControllerOptions, model: ControlModel | None = None) -> None:
        """Raises MbrlError for options that do not fit the contract, or the heads of `model` (None: the present)."""
        options.period(self.contract.action.period)
        check_goal_options(self.contract, options)
        planner = options.make_planner(len(self.contract.action))
        model = model or self.session.core.model
        used_heads(model, planner, options.core, who_acts(options.acting, model))

    def _connect(self, undo: ExitStack) -> None:
        node, lockstep = self._node, self.options.lockstep
        made = [node.create_subscription(JointTrajectory, "~/set_goal", self._on_goal, qos.REQUEST)]
        undo.callback(lambda: [node.destroy_subscription(subscription) for subscription in made])
        self.graph.add_requests("e_stop", qos.E_STOP, matters=True)
        self.graph.add_requests("~/set_goal", qos.REQUEST, matters=False)
        for source in self.contract.sources:
            kind, on_state = message_class(source.type), functools.partial(self._on_state, source.key)
            profile = qos.lockstep_sensor(self.contract, source) if lockstep else qos.sensor(source)
            publishers = StatePublishers(node, source, profile)
            if lockstep:  # each state is waited for; in real time the loop takes what has arrived
                subscription = node.create_subscription(kind, source.topic, publishers.before(on_state), profile)  # type: ignore[arg-type]
            else:
                subscription = polled_subscription(node, kind, source.topic, profile)
                self.polled.append((subscription, on_state, publishers.hear))
            publishers.subscription = subscription
            self.graph.states.append(publishers)
            made.append(subscription)

        if self.contract.looks_up_frames:
            transforms = message_class(ros_types.TRANSFORMS)
            made.append(node.create_subscription(transforms, TF_STATIC, self.inputs.receive_frames, qos.STATIC_FRAMES))

    def _on_state(self, key: str, message: Any, received: float | None = None) -> None:
        now = self.elapsed(time.monotonic())
        heard = now if received is None else self.elapsed(received)
        clock = None if self.options.lockstep else self._node.now_s() - (now - heard)
        self.inputs.receive(key, message, heard, clock)

    def _on_goal(self, message: JointTrajectory) -> None:
        logger = self._node.get_logger()
        try:
            goal = messages.read_goal(self.contract.task, message)
        except GoalError as error:
            self._counters.goals_refused += 1
            self._counters.last_goal_refusal = str(error)
            logger.warning(f"goal refused: {error}", throttle_duration_sec=1.0)
            return
        self.session.set_goal(goal, self._node.now_s())
        logger.info(f"new goal, {len(goal.times)} points", throttle_duration_sec=1.0)

    def _scene_was_reset(self) -> None:
        self.session.scene_was_reset(self.elapsed(time.monotonic()))
        if self.inputs.newest_stamp is not None:  # in lockstep its state is here already
            self.on_complete_state()


def _acts(core: ControllerCore) -> str:
    return "its policy acts" if core.acting == "distilled" else f"planner {core.planner.name}"


def uses_simulated_time(node: ManagedNode, options: ControllerOptions) -> bool:
    """Whether control periods are counted in the time on /clock. In lockstep they are counted in no time."""
    return bool(getattr(node.get_clock(), "ros_time_is_active", False)) and not options.lockstep
