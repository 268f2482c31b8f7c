# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Moves the simulated hand and publishes its states: by time, or (lockstep) for each command."""

from __future__ import annotations

import math
import queue
import threading
import time
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.loop import FixedRateLoop, start_thread
from mbrl_controller.control.pacing import TickTime
from mbrl_controller.episodes import ros_messages
from mbrl_controller.nodes.diagnostics import timing
from mbrl_controller.nodes.sim_runner import Runner
from mbrl_controller.simulation.driver import SimulatedDriver, over
from mbrl_controller.simulation.env import HandEnv, RealTimeHand
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.measuring import Measurement
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.tasks.spaces import Array

RESEND_S = 1.0  # after which an unanswered state is sent again
RESET_WAIT_S = 20.0
LOCKSTEP_START_NS = ros_messages.NANO  # a stamp of 0 means "unset" to ROS
RESET_GAP_S = 1.0  # at least: in lockstep the clock jumps at a reset, so that no transition leads across it
MAX_CATCH_UP_S = 0.1  # of physics in one step; a machine that is slower falls behind, and says so
ECHOES = 2  # repeated answers to a repeated state that may still be under way


class RealTimeRunner(Runner):
    """States at a fixed rate, stamped with the time of day, so that nodes with and without use_sim_time agree."""

    def __init__(self, contract: RobotContract, options: SimOptions, values: dict[str, Any], *rest: Any) -> None:
        super().__init__(contract, values, *rest)
        self._hand = RealTimeHand(contract, options)
        self._hand.reset(self.seed)
        self.simulation = self._hand.simulation
        self._driver = SimulatedDriver(self.simulation.held_target)
        self._period = 1.0 / values["state_rate"]
        self._quiet_until = 0.0  # s, time.monotonic
        self._loop = FixedRateLoop(self._period, self._tick, on_error=self._on_error, name="simulation")
        self.statistics = self._loop.statistics

    def start(self) -> None:
        self._zero = time.time_ns() - round(time.monotonic() * ros_messages.NANO)
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def report(self) -> dict[str, object]:
        return timing(self.statistics, self._period) | {"behind real time (s)": self.behind_s} | super().report()

    def _tick(self, tick: TickTime) -> None:
        if self._take_reset():
            self._hand.reset(self.seed)
            self._driver = SimulatedDriver(self.simulation.held_target)
            self._quiet_until = tick.due + self.contract.reset_gap  # to the same effect
            self._reset_done.set()
        if tick.due < self._quiet_until:
            self._drain()  # still meant for the hand as it was
            self._send_clock(self._zero + round(tick.due * ros_messages.NANO))
            return
        for command in self._drain():
            self._driver.receive(*command, tick.due)
        if self._driver.news(tick.due):
            self._hand.command(self._driver.target)
        wanted = (1 + tick.missed) * self._period
        made = min(wanted, max(MAX_CATCH_UP_S, self._period))
        self.behind_s += wanted - made
        delivered = self._hand.advance(made)
        now = self._zero + round(tick.due * ros_messages.NANO)
        self._send_clock(now)
        for measurement in delivered:
            age = self.simulation.time - measurement.stamp
            self._send(measurement, now - round(age * ros_messages.NANO), stamped=False)
        self._show()


class LockstepRunner(Runner):
    """One state, one command, one control period: the same run for a seed, however fast the machine."""

    lockstep = True

    def __init__(self, contract: RobotContract, options: SimOptions, values: dict[str, Any], *rest: Any) -> None:
        super().__init__(contract, values, *rest)
        self.simulation = HandSimulation(contract, options)
        self._hand = HandEnv(self.simulation)
        self._hand.reset(self.seed)
        self._newest: dict[str, Measurement] = {}  # by source
        self._period = round(contract.action.period * ros_messages.NANO)
        self._reset_gap = ros_messages.to_ns(max(RESET_GAP_S, contract.reset_gap))
        self._zero = LOCKSTEP_START_NS  # stamp of this start
        self._steps = self._resent = 0
        self._echoes: dict[str, int] = {}
        self._answer: dict[str, Array] = {}  # by topic
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop.clear()
        self._drain()
        self._thread = start_thread(self._run, "simulation")

    def stop(self) -> None:
        self._stop.set()
        self._commands.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def report(self) -> dict[str, object]:
        return {"steps": self._steps, "states sent again": self._resent} | super().report()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._publish(self._hand.measurements)
                command = self._wait_for_answer()
                if self._stop.is_set():
                    return
                if self._take_reset():
                    self._zero += self._steps * self._period + self._reset_gap
                    self._steps, self._echoes = 0, {}
                    self._hand.reset(self.seed)
                    self._reset_done.set()
                elif command is not None:
                    self._hand.step(command)
                    self._steps += 1
                self._show()
        except Exception as error:
            self._on_error(error)

    def _publish(self, measurements: list[Measurement]) -> None:
        """Send a period's measurements in order.

        Who listens must know when no more come: the last one of each source is as new as all others, or is repeated.
        """
        self._send_clock(self._zero + self._steps * self._period)
        self._newest |= {measurement.source.key: measurement for measurement in measurements}
        silent = self._newest.keys() - {measurement.source.key for measurement in measurements}
        end = max((m.stamp for m in self._newest.values() if not m.source.derived), default=math.inf)
        late = [m for m in self._newest.values() if m.source.key in silent or (m.source.derived and m.stamp < end)]
        for measurement in [*measurements, *late]:
            self._send(measurement, self._zero + ros_messages.to_ns(measurement.stamp), stamped=True)

    def _wait_for_answer(self) -> Array | None:
        """The command that answers the state sent, complete when each topic was heard; None to look at the flags.

        Who gets a state twice may answer twice. The second answer must not pass for that of the next state: an exact
        repeat of the last answer is taken for such an echo. Should it have been meant, the state is sent again.
        """
        sent_again = 0
        heard: dict[str, Array] = {}
        while len(heard) < len(self.contract.destinations):
            try:
                command = self._commands.get(timeout=RESEND_S)
            except queue.Empty:
                sent_again += 1
                self._resent += 1
                self._echoes = {}
                self._publish([])
                continue
            if command is None:
                if self._stop.is_set() or self._reset_wanted.is_set():
                    return None
                continue
            topic, target = command.topic, command.targets[0]
            if self._echoes.get(topic) and np.array_equal(target, self._answer[topic], equal_nan=True):
                self._echoes[topic] -= 1
                continue
            heard[topic] = target
        self._answer, self._echoes = heard, dict.fromkeys(heard, min(sent_again, ECHOES))
        answer = self.simulation.held_target
        for target in heard.values():
            answer = over(target, answer)
        return answer
