# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the buttons do. The emergency stop waits for nothing; all else runs on threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.loop import start_thread
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.messages import trajectory
from mbrl_controller.panel.calls import Caller
from mbrl_controller.panel.live import Live
from mbrl_controller.panel.remote_parameters import RemoteParameters
from mbrl_controller.panel.words import state_of
from mbrl_controller.tasks.spaces import Array

AGAIN_S, STOP_ASKED = 0.05, 100  # until the stop is answered
LOAD_S = 120.0  # a new version runs in a sandbox first
THREADS = 4
Told = Callable[[bool, str], None]  # success, and what to tell who asked


class Actions:
    """Asks the controller and the logger. Each outcome is noted for every browser and told to who asked."""

    def __init__(
        self, node: Node, live: Live, caller: Caller, parameters: RemoteParameters, controller: str, logger: str
    ) -> None:
        self._live, self._caller, self._parameters = live, caller, parameters
        self._controller, self._logger = controller, logger
        self._node = node
        self._goals = node.create_publisher(JointTrajectory, f"{controller}/set_goal", qos.REQUEST)
        self._stop_client: Any = caller.client(Trigger, f"{controller}/e_stop")
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="panel action")
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._stop_asked, self._closed = threading.Event(), threading.Event()
        self._stopper = start_thread(self._keep_asking, "panel stop")

    def close(self) -> None:
        """End the threads; what is asked already is still answered, or given up."""
        self._closed.set()
        self._stop_asked.set()
        self._stopper.join()
        self._pool.shutdown(cancel_futures=True)
        self._node.destroy_publisher(self._goals)

    def e_stop(self) -> None:
        """Ask for the stop, on this thread and at once; asked again until the controller answers."""
        self._stop_client.call_async(Trigger.Request())
        self._stop_asked.set()

    def reset(self, told: Told) -> None:
        """Clear a latched stop; a new episode begins with the next good state."""
        self._run("reset", lambda: self._trigger(f"{self._controller}/reset"), told)

    def new_episode(self, told: Told) -> None:
        """End the episode and begin another. While others command the hand, the logger begins one of theirs."""

        def begin() -> str:
            state = self._state()
            if state == "stopped":
                raise MbrlError("it is stopped: look at the hand, then reset")
            if state == "handed_over":
                return self._trigger(f"{self._logger}/begin_episode")
            return self._trigger(f"{self._controller}/reset")

        self._run("new episode", begin, told)

    def end_episode(self, told: Told) -> None:
        """End an episode that `new_episode` began while others command the hand."""
        self._run("end episode", lambda: self._trigger(f"{self._logger}/end_episode"), told)

    def hand_over(self, away: bool, told: Told) -> None:
        """Let someone else command the hand, or take it back."""

        def ask() -> str:
            return self._outcome(self._caller.ask(SetBool, f"{self._controller}/hand_over", SetBool.Request(data=away)))

        self._run("hand over" if away else "take back", ask, told)

    def load_version(self, version: str, told: Told) -> None:
        """Let the controller load a model version between two ticks; the old name stays where it is refused."""

        def load() -> str:
            before = self._parameters.value("model_version")
            self._parameters.set_now("model_version", version)
            try:
                return self._trigger(f"{self._controller}/load_model", LOAD_S)
            except MbrlError:
                if before is not None:
                    self._parameters.set_now("model_version", before)
                raise

        self._run(f"load {version}", load, told)

    def retrain(self, told: Told) -> None:
        """Let the logger start its retrain job, in a process of its own."""
        self._run("retrain", lambda: self._trigger(f"{self._logger}/retrain"), told)

    def set_goal(self, goal: Array, told: Told) -> None:
        """Ask for a goal vector [G] from now on."""

        def ask() -> str:
            task = self._live.contract.task
            task.check_goal(goal)
            if not self._goals.get_subscription_count():
                raise MbrlError("no controller takes goals")
            self._goals.publish(trajectory(task.goal.names, goal[None], np.zeros(1), None))
            return "sent"

        self._run("goal", ask, told)

    def set_parameter(self, name: str, value: Any, told: Told) -> None:
        """Set a live parameter; only a refusal is noted."""

        def ask() -> str:
            self._parameters.set_now(name, value)
            return ""

        self._run(name, ask, told)

    def _state(self) -> str:
        report = self._live.status(f"{self._controller}: control")
        return state_of(self._live.tick, report.values if report else None, self._live.is_ticking)

    def _trigger(self, service: str, answer_s: float = 15.0) -> str:
        return self._outcome(self._caller.ask(Trigger, service, Trigger.Request(), answer_s))

    def _outcome(self, answer: Any) -> str:
        if not answer.success:
            raise MbrlError(answer.message or "refused")
        return str(answer.message)

    def _run(self, name: str, work: Callable[[], str], told: Told) -> None:
        with self._lock:
            if name in self._busy:
                told(False, f"{name}: the last one is not answered yet")
                return
            self._busy.add(name)

        def job() -> None:
            try:
                done, text = True, work()
            except MbrlError as error:
                done, text = False, str(error)
            finally:
                with self._lock:
                    self._busy.discard(name)
            line = f"{name}: {text or 'done'}" if done else f"{name} refused: {text}"
            if text:
                self._live.note(line)
            told(done, line)

        self._pool.submit(job)

    def _keep_asking(self) -> None:
        """A request may get lost where the controller has just been discovered."""
        while True:
            self._stop_asked.wait()
            if self._closed.is_set():
                return
            self._stop_asked.clear()
            self._live.note("EMERGENCY STOP asked")
            for _ in range(STOP_ASKED):
                future = self._stop_client.call_async(Trigger.Request())
                answered = threading.Event()
                future.add_done_callback(lambda _, event=answered: event.set())
                if answered.wait(AGAIN_S) or self._closed.is_set():
                    break
                self._stop_client.remove_pending_request(future)
            else:
                self._live.note("EMERGENCY STOP: no controller answers. Use the hand's own stop")
                continue
            if not self._closed.is_set():
                answer = future.result()
                self._live.note(f"EMERGENCY STOP: {answer.message if answer else 'no answer'}")
