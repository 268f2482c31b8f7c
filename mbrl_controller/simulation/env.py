# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated hand through its imperfect sensors and commands, in simulated time, without ROS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.sources import TrackedSource
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.measuring import MeasuredState, Measurement, Moment, schedule
from mbrl_controller.simulation.sensor_model import TIME_TOLERANCE, ActuatorDelay, SensorModel
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.tasks.spaces import Array

STEP_TOLERANCE = 1e-6  # of a physics step: times are sums of floating point steps
SENSE_PERIOD = 0.01  # s between measurements: 100 Hz, so that latency is kept to 10 ms


@dataclass(frozen=True)
class Corrections:
    """Commands between those of two steps."""

    rate: float  # Hz, at which a newer state is looked for; at most that of the measurements
    # From the time now, and the newest measurement's stamp (both s) and values [S], to a target [A] (rad), or None to
    # leave the command as it is.
    correct: Callable[[float, float, Array], Array | None]


class HandEnv:
    """Environment with `reset` and `step`: one step sends a command and lets one control period pass.

    Without latency, noise and loss this is HandSimulation.step and costs the same.
    """

    def __init__(self, simulation: HandSimulation, measures_between: bool = False) -> None:
        """Args:
        simulation: the hand.
        measures_between: measure between steps too, which `Corrections` need, though the sensors are perfect.
        """
        self.simulation = simulation
        options = simulation.options
        self._sensor = SensorModel(simulation.contract.task.state.names, options, 0)
        self._delay = ActuatorDelay(options.command_latency)
        sensing = (
            options.joint_noise,
            options.joint_velocity_noise,
            options.object_noise,
            options.object_velocity_noise,
            options.orientation_noise,
            options.angular_velocity_noise,
            options.effort_noise,
            options.array_noise,
            options.observation_latency,
            options.command_latency,
            options.drop_probability,
        )
        self._measured = MeasuredState(simulation.contract)
        self._perfect = not any(sensing) and not measures_between
        self._moments = self._schedule()
        self._newest: tuple[float, Array] = (0.0, simulation.state())
        self.measurements: list[Measurement] = []  # that arrived in the last step; but for trackers, only the newest

    def reset(self, seed: int) -> tuple[float, Array]:
        """Begin an episode; returns stamp (s) and measured state [S]. The hand is at rest: latency changes nothing."""
        state = self.simulation.reset(seed)
        self._moments = self._schedule()  # the physics step may be another one in this episode
        self._sensor.reset(seed)
        self._delay.reset()
        self._measured.reset()
        state = self._sensor.noisy(state, np.random.default_rng([seed, 1]))
        return self._take([(0.0, state)])

    def step(self, target: Array, corrections: Corrections | None = None) -> tuple[float, Array]:
        """Send `target` [A] (rad), and meanwhile its corrections; returns stamp (s) and values [S] of the newest
        measurement one period later.

        If every measurement of the period is lost, that is the previous one, as its stamp shows. Where a velocity is
        derived, the stamp is that of the source measured longest ago.
        """
        simulation = self.simulation
        if self._perfect and self._measured.is_plain:
            state = simulation.step(target)
            return self._take([(simulation.time, state)])
        self._delay.push(simulation.time, target)
        self._begin_hearing()
        due, last = math.inf, len(self._moments) - 1
        if corrections is not None:
            due = simulation.time + 1 / corrections.rate
        for i, moment in enumerate(self._moments):
            command = self._delay.pop(simulation.time)
            if command is not None:
                simulation.command(command)
            simulation.advance(moment.steps * simulation.scene.timestep)
            self._sensor.measure(simulation.time, simulation.state())
            self._hear(self._sensor.arrivals(simulation.time))
            if corrections is not None and i < last and simulation.time >= due - TIME_TOLERANCE:
                due += 1 / corrections.rate
                corrected = corrections.correct(simulation.time, *self._newest)
                if corrected is not None:
                    self._delay.push(simulation.time, corrected)
        return self._heard()

    def _schedule(self) -> tuple[Moment, ...]:
        scene = self.simulation.scene
        every = scene.substeps if self._perfect else max(1, round(SENSE_PERIOD / scene.timestep))
        return schedule(self.simulation.contract, scene.substeps, every)

    def _take(self, arrived: list[tuple[float, Array]]) -> tuple[float, Array]:
        """Make a state of measurements, each of the whole state [S] at a stamp (s)."""
        self._begin_hearing()
        self._hear(arrived)
        return self._heard()

    def _begin_hearing(self) -> None:
        self._latest: dict[str, Measurement] = {}  # of sources of which the newest counts
        self._tracked: list[Measurement] = []
        self._news = False

    def _hear(self, arrived: list[tuple[float, Array]]) -> None:
        """Bring the newest state up to date."""
        if self._measured.is_plain:
            if arrived:
                self._newest, self._news = arrived[-1], True
            return
        for stamp, state in arrived:
            for sent in self._measured.take(stamp, state, self._due(stamp)):
                if sent.source.derived:
                    self._tracked.append(sent)
                else:
                    self._latest[sent.source.key] = sent
        self._newest = self._measured.state()

    def _heard(self) -> tuple[float, Array]:
        self.measurements = [*self._latest.values(), *self._tracked]
        if self._news:
            self.measurements = self._measured.take(*self._newest, ())
        return self._newest

    def _due(self, stamp: float) -> tuple[str, ...]:
        """Trackers that measured at `stamp` (s)."""
        scene, step = self.simulation.scene, 0
        at = (round(stamp / scene.timestep) - 1) % scene.substeps + 1
        for moment in self._moments:
            step += moment.steps
            if step == at:
                return moment.due
        raise AssertionError(f"nothing was measured at {stamp} s")


class RealTimeHand:
    """The simulated hand under an outer clock: commands at any time, one sensor with its own losses per source.

    Not thread-safe.
    """

    def __init__(self, contract: RobotContract, options: SimOptions) -> None:
        self.simulation = HandSimulation(contract, options)
        self._sources = contract.sources
        self._sensors = [SensorModel(source.entries(), options, i) for i, source in enumerate(self._sources)]
        self._due = {i: 0.0 for i, source in enumerate(self._sources) if isinstance(source, TrackedSource)}
        self._delay = ActuatorDelay(options.command_latency)

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self.simulation.reset(seed)
        self._delay.reset()
        self._due = dict.fromkeys(self._due, 0.0)
        for i, sensor in enumerate(self._sensors):
            sensor.reset(seed * len(self._sensors) + i)

    def command(self, target: Array) -> None:
        """Send a target [A] (rad). It acts after the command latency, until the next one does."""
        self._delay.push(self.simulation.time, target)

    def advance(self, seconds: float) -> list[Measurement]:
        """Let time pass; returns the measurements that arrive meanwhile.

        Trackers measure at their own rate, and all their measurements count; the others measure at the end, and the
        newest counts.
        """
        simulation = self.simulation
        due = self._delay.pop(simulation.time)
        if due is not None:
            simulation.command(due)
        left, step = seconds, simulation.scene.timestep
        while self._due:
            steps = math.ceil((min(self._due.values()) - simulation.time) / step - STEP_TOLERANCE)
            wait = step * max(steps, 0)
            if wait > left + TIME_TOLERANCE:
                break
            simulation.advance(wait)
            left -= wait
            self._track()
        simulation.advance(max(left, 0.0))
        now, delivered = simulation.time, []
        parts = split_state(simulation.contract, simulation.state())
        for i, (source, sensor, values) in enumerate(zip(self._sources, self._sensors, parts, strict=True)):
            if i not in self._due:
                sensor.measure(now, values)
            arrived = sensor.arrivals(now)
            delivered += [Measurement(source, value, at) for at, value in (arrived if i in self._due else arrived[-1:])]
        return delivered

    def _track(self) -> None:
        """Let the trackers measure whose time has come."""
        simulation = self.simulation
        now = simulation.time + STEP_TOLERANCE * simulation.scene.timestep
        ready = [i for i, at in self._due.items() if at <= now]
        parts = split_state(simulation.contract, simulation.state())
        for i in ready:
            source = self._sources[i]
            assert isinstance(source, TrackedSource)
            self._sensors[i].measure(simulation.time, parts[i])
            self._due[i] += 1 / source.rate_hz
