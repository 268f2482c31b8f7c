# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A simulated hand seen through its imperfect sensors and commands, in simulated time."""

from __future__ import annotations

import numpy as np

from mbrl_controller.simulation.hand import HandSimulation
from mbrl_controller.simulation.imperfections import CommandDelay, SensorModel
from mbrl_controller.tasks.spaces import Array

SENSE_PERIOD = 0.01  # s between measurements: 100 Hz, so that latency is kept to 10 ms


class LockstepHand:
    """Sends a command, lets one control period pass, and returns what has been sensed by then.

    Without latency, noise and loss this is HandSimulation.step and costs the same.
    """

    def __init__(self, simulation: HandSimulation) -> None:
        self.simulation = simulation
        options = simulation.options
        self._sensor = SensorModel(simulation.contract.task.state.names, options, 0)
        self._delay = CommandDelay(options.command_latency)
        sensing = (
            options.joint_noise,
            options.joint_velocity_noise,
            options.object_noise,
            options.object_velocity_noise,
            options.observation_latency,
            options.command_latency,
            options.drop_probability,
        )
        self._perfect = not any(sensing)
        self._newest: tuple[float, Array] = (0.0, simulation.state())

    def reset(self, seed: int) -> tuple[float, Array]:
        """A new episode: stamp (s) and sensed state [S]. The hand has been still, so latency shows the same."""
        state = self.simulation.reset(seed)
        self._sensor.reset(seed)
        self._delay.reset()
        noise = np.random.default_rng([seed, 1]).standard_normal(len(state)) * self._sensor.levels
        self._newest = (0.0, state + noise)
        return self._newest

    def step(self, target: Array) -> tuple[float, Array]:
        """Send `target` [A] (rad); stamp (s) and values [S] of the newest measurement after one control period.

        When every measurement of a period is lost, the previous one stands: look at the stamp.
        """
        simulation = self.simulation
        if self._perfect:
            state = simulation.step(target)
            self._newest = (simulation.time, state)
            return self._newest
        self._delay.push(simulation.time, target)
        scene = simulation.scene
        chunk = max(1, round(SENSE_PERIOD / scene.file.timestep))
        done = 0
        while done < scene.substeps:
            command = self._delay.pop(simulation.time)
            if command is not None:
                simulation.command(command)
            steps = min(chunk, scene.substeps - done)
            simulation.advance(steps * scene.file.timestep)
            done += steps
            arrived = self._sensor.observe(simulation.time, simulation.state())
            if arrived is not None:
                self._newest = arrived
        return self._newest
