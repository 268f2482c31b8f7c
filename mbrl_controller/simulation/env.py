# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated hand through its imperfect sensors and commands, in simulated time, without ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.sources import Source
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.sensor_model import ActuatorDelay, SensorModel
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.tasks.spaces import Array

SENSE_PERIOD = 0.01  # s between measurements: 100 Hz, so that latency is kept to 10 ms


class HandEnv:
    """Environment with `reset` and `step`: one step sends a command and lets one control period pass.

    Without latency, noise and loss this is HandSimulation.step and costs the same.
    """

    def __init__(self, simulation: HandSimulation) -> None:
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
        self._perfect = not any(sensing)
        self._newest: tuple[float, Array] = (0.0, simulation.state())

    def reset(self, seed: int) -> tuple[float, Array]:
        """Begin an episode; returns stamp (s) and measured state [S]. The hand is at rest: latency changes nothing."""
        state = self.simulation.reset(seed)
        self._sensor.reset(seed)
        self._delay.reset()
        self._newest = (0.0, self._sensor.noisy(state, np.random.default_rng([seed, 1])))
        return self._newest

    def step(self, target: Array) -> tuple[float, Array]:
        """Send `target` [A] (rad); returns stamp (s) and values [S] of the newest measurement one period later.

        If every measurement of the period is lost, that is the previous one, as its stamp shows.
        """
        simulation = self.simulation
        if self._perfect:
            state = simulation.step(target)
            self._newest = (simulation.time, state)
            return self._newest
        self._delay.push(simulation.time, target)
        scene = simulation.scene
        chunk = max(1, round(SENSE_PERIOD / scene.timestep))
        done = 0
        while done < scene.substeps:
            command = self._delay.pop(simulation.time)
            if command is not None:
                simulation.command(command)
            steps = min(chunk, scene.substeps - done)
            simulation.advance(steps * scene.timestep)
            done += steps
            arrived = self._sensor.observe(simulation.time, simulation.state())
            if arrived is not None:
                self._newest = arrived
        return self._newest


@dataclass(frozen=True)
class Measurement:
    """Values that one source delivers now, and their age (s)."""

    source: Source
    values: Array
    age: float


class RealTimeHand:
    """The simulated hand under an outer clock: commands at any time, one sensor with its own losses per source.

    Not thread-safe.
    """

    def __init__(self, contract: RobotContract, options: SimOptions) -> None:
        self.simulation = HandSimulation(contract, options)
        self._sources = contract.sources
        self._sensors = [SensorModel(source.entries(), options, i) for i, source in enumerate(self._sources)]
        self._delay = ActuatorDelay(options.command_latency)

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self.simulation.reset(seed)
        self._delay.reset()
        for i, sensor in enumerate(self._sensors):
            sensor.reset(seed * len(self._sensors) + i)

    def command(self, target: Array) -> None:
        """Send a target [A] (rad). It acts after the command latency, until the next one does."""
        self._delay.push(self.simulation.time, target)

    def advance(self, seconds: float) -> list[Measurement]:
        """Let time pass; returns the measurements that arrive at its end."""
        simulation = self.simulation
        due = self._delay.pop(simulation.time)
        if due is not None:
            simulation.command(due)
        simulation.advance(seconds)
        now, delivered = simulation.time, []
        parts = split_state(simulation.contract, simulation.state())
        for source, sensor, values in zip(self._sources, self._sensors, parts, strict=True):
            arrived = sensor.observe(now, values)
            if arrived is not None:
                delivered.append(Measurement(source, arrived[1], now - arrived[0]))
        return delivered
