# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The simulated hand under somebody else's clock: commands at any time, and each sensor with its own losses."""

from __future__ import annotations

from dataclasses import dataclass

from mbrl_controller.contract.contract import RobotContract, Source
from mbrl_controller.episodes.lockstep_log import split_state
from mbrl_controller.simulation.hand import HandSimulation
from mbrl_controller.simulation.imperfections import CommandDelay, SensorModel
from mbrl_controller.simulation.options import SimOptions
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class Measurement:
    """What one source delivers now, and how long ago (s) it was measured."""

    source: Source
    values: Array
    age: float


class RealTimeHand:
    """A HandSimulation seen through one sensor a source. For one thread."""

    def __init__(self, contract: RobotContract, options: SimOptions) -> None:
        self.simulation = HandSimulation(contract, options)
        self._sources = contract.sources
        self._sensors = [SensorModel(source.entries(), options, i) for i, source in enumerate(self._sources)]
        self._delay = CommandDelay(options.command_latency)

    def reset(self, seed: int) -> None:
        """A new start."""
        self.simulation.reset(seed)
        self._delay.reset()
        for i, sensor in enumerate(self._sensors):
            sensor.reset(seed * len(self._sensors) + i)

    def command(self, target: Array) -> None:
        """Send a target [A] (rad); it acts after the command latency, and is held until the next one does."""
        self._delay.push(self.simulation.time, target)

    def advance(self, seconds: float) -> list[Measurement]:
        """Let time pass; what the sensors deliver at its end."""
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
