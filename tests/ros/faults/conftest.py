# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The fault matrix: each test makes a fault against real processes and adds a row to the table printed at the end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from mbrl_controller.episodes.reader import Episode, read_episode

from ..conftest import Ros

with suppress(ImportError):  # without ROS each test file here is skipped; this one must load
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray

    from mbrl_controller.nodes import messages, qos

rows = pytest.StashKey[list["FaultRow"]]()


@dataclass(frozen=True)
class FaultRow:
    """What one fault did."""

    fault: str
    hand: str  # what the hand did
    diagnostics: str  # what /diagnostics said, in its words; "" if there was nothing to say
    periods: float  # control periods from the fault to the first safe command, or to none any more; 0: never unsafe
    lost: str  # what of the log, the models or the data was lost


def pytest_configure(config: pytest.Config) -> None:
    config.stash[rows] = []


@pytest.fixture
def fault_row(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Call it with the fields of a `FaultRow`, by name, once all assertions about the fault have held. How long the
    answer may take is asked of an idle machine alone, by `--most-periods`: `make faults` asks for 2."""

    most = request.config.getoption("--most-periods", None)

    def add(**fields: Any) -> None:
        row = FaultRow(**fields)
        request.config.stash[rows].append(row)
        assert most is None or row.periods <= most

    return add


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not (found := config.stash.get(rows, [])):
        return
    table = Table("fault", "the hand", "/diagnostics", "periods until safe", "lost", title="faults", show_lines=True)
    for row in found:
        table.add_row(row.fault, row.hand, row.diagnostics, f"{row.periods:.1f}", row.lost)
    Console(width=None if terminalreporter.hasmarkup else 160, markup=False).print(table)
    if path := config.getoption("--fault-table", None):
        Path(path).write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n", encoding="utf-8")


class Tick(NamedTuple):
    """A row of ~/tick, and when it came (s, time.monotonic)."""

    time: float
    row: dict[str, float]

    @property
    def planned(self) -> bool:
        """Whether its command came from a plan: all others are safe."""
        return self.row["source"] >= 2

    @property
    def age(self) -> float:
        """s since its state was measured, by the controller's clock."""
        return self.row["stamp"] - self.row["state_stamp"]


class Witness:
    """Hears what a controller sends and tells, on a thread of its own."""

    def __init__(self, ros: Ros, command_topic: str, period: float, name: str = "witness") -> None:
        self.period = period  # s
        self.step_s = 0.01  # s, between two calls of `step`
        self.commands: list[tuple[float, np.ndarray]] = []  # when it came (s, time.monotonic), [A] rad
        self.ticks: list[Tick] = []
        self._ticked = threading.Condition()
        self.node = rclpy.create_node(
            f"{name}_{id(self):x}" if name == "witness" else name, context=ros.context, start_parameter_services=False
        )
        self.node.create_subscription(Float64MultiArray, command_topic, self._on_command, 10)
        self.node.create_subscription(Float64MultiArray, "controller/tick", self._on_tick, 100)
        self._executor = SingleThreadedExecutor(context=ros.context)
        self._executor.add_node(self.node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()

    def wait_for_phase(self, phase: float) -> None:
        """Return so large a part of a control period after a tick: what a fault comes to depends on when it comes."""
        with self._ticked:
            assert self._ticked.wait(10.0), "no tick"
            self._ticked.wait(phase * self.period)

    def after(self, when: float) -> list[Tick]:
        """Ticks that came after `when` (s, time.monotonic)."""
        return [tick for tick in list(self.ticks) if tick.time > when]

    def commands_after(self, when: float) -> list[np.ndarray]:
        """Commands [A] that came after `when` (s, time.monotonic)."""
        return [command for time_, command in list(self.commands) if time_ > when]

    def is_safe(self, when: float) -> bool:
        """Whether a tick without a plan came after `when` (s, time.monotonic)."""
        return any(not tick.planned for tick in self.after(when))

    def periods_until_safe(self, fault: float) -> float:
        """Control periods from `fault` (s, time.monotonic) to the last planned command before the first tick without
        one; where all go on being planned, to the last one."""
        planned = takewhile(lambda tick: tick.planned, self.after(fault))
        return self.periods_to_last((tick.time for tick in planned), fault)

    def periods_to_last(self, times: Iterable[float], fault: float) -> float:
        """Control periods from `fault` to the last of `times` (s, time.monotonic) after it; 0 where there is none."""
        return (max((when for when in times if when > fault), default=fault) - fault) / self.period

    def step(self) -> None:
        """Called a hundred times a second, or as often as `step_s` says."""

    def _on_command(self, message: Float64MultiArray) -> None:
        self.commands.append((time.monotonic(), np.array(message.data)))

    def _on_tick(self, message: Float64MultiArray) -> None:
        labels = [dim.label for dim in message.layout.dim]
        with self._ticked:
            self.ticks.append(Tick(time.monotonic(), dict(zip(labels, message.data, strict=True))))
            self._ticked.notify_all()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            if (left := due - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=left)
            else:
                self.step()
                due += self.step_s


Spoil = Callable[["JointState"], list["JointState"]]
JOINTS, LIMIT, MAX_RATE, PERIOD = ["J0", "J1", "J2"], 1.0, 3.0, 0.05  # of the small hand: rad, rad/s, s


class Hand(Witness):
    """The small hand: its joints follow the commands it hears, and turn a valve a little. Tests spoil what it says."""

    def __init__(self, ros: Ros, tells_time: bool = False, name: str = "witness") -> None:
        super().__init__(ros, "hand/commands", PERIOD, name)
        self.position, self.valve = np.array([0.0, 0.1, 0.2]), 0.0
        self._rng = np.random.default_rng(0)
        self.spoil: Spoil = lambda message: [message]  # of the joints' messages
        self.spoil_valve: Spoil = lambda message: [message]
        self.clock_offset = 0.0  # s, of the time on /clock and of all stamps
        self.clock_rate = 1.0  # times real time; not to be set but by `run_at`
        self._clock_zero = time.time()
        self.stamp_offset = 0.0  # s, of stamps alone
        self._joints = self.node.create_publisher(JointState, "joint_states", qos.SENSOR)
        self._valve = self.node.create_publisher(JointState, "valve/joint_states", qos.SENSOR)
        self._clock = self.node.create_publisher(Clock, "/clock", qos.SENSOR) if tells_time else None
        self._lock = threading.Lock()

    def change(self, **what: Any) -> float:
        """Set attributes between two messages; when (s, time.monotonic)."""
        with self._lock:
            self.__dict__.update(what)
            return time.monotonic()

    def now(self) -> float:
        """s, as /clock tells it."""
        return self._clock_zero + self.clock_rate * (time.time() - self._clock_zero) + self.clock_offset

    def run_at(self, rate: float) -> float:
        """Let time go so fast from now on; when (s, time.monotonic)."""
        with self._lock:
            passed = time.time() - self._clock_zero
            self.clock_offset += (self.clock_rate - rate) * passed
            self.clock_rate, self.step_s = rate, 0.01 / max(rate, 1.0)
            return time.monotonic()

    def step(self) -> None:
        """Move for 10 ms, then say where it is."""
        with self._lock:
            if self.commands:
                move = self.commands[-1][1] - self.position
                self.position = self.position + np.clip(move, -0.01 * MAX_RATE, 0.01 * MAX_RATE)
                # No sensor measures the same to the last bit twice. Without this a hand that is held where its valve
                # froze, say with all joints at their limits, looks frozen for ever.
                self.valve = float(self.position @ [0.1, 0.07, 0.04] + self._rng.normal(0.0, 1e-7))
            if self._clock is not None:
                self._clock.publish(Clock(clock=messages.to_time(self.now())))
            stamp = messages.to_time(self.now() + self.stamp_offset)
            joints = JointState(name=JOINTS, position=self.position.tolist(), velocity=[0.0] * 3)
            valve = JointState(name=["valve"], position=[self.valve], velocity=[0.0])
            for publisher, message, spoil in (
                (self._joints, joints, self.spoil),
                (self._valve, valve, self.spoil_valve),
            ):
                message.header.stamp = stamp
                for spoilt in spoil(message):
                    publisher.publish(spoilt)

    def check_commands(self, since: float) -> None:
        """No command since then (s, time.monotonic) left its limits or jumped."""
        sent = np.array(self.commands_after(since))
        assert np.isfinite(sent).all()
        assert (np.abs(sent) <= LIMIT + 1e-9).all()
        assert (np.abs(np.diff(sent, axis=0)) <= 2 * MAX_RATE * PERIOD + 1e-9).all()


class Control:
    """A controller of the small hand, in a process of its own, that explores: its commands never stand still."""

    def __init__(self, ros: Ros, folder: Path, hand: str = "witness", **parameters: Any) -> None:
        """`hand`: name of the node that plays the hand."""
        self.ros = ros
        self.reports = ros.diagnostics("controller: control")
        self.given = {
            "contract": str(folder / "contract.yaml"),
            "models_dir": str(folder / "models"),
            "planner.num_samples": 16,
            "planner.horizon": 3,
            "planner.iterations": 1,
            "exploration_noise": 0.5,
            "noise_smoothing": 1.0,
            **parameters,
        }
        self.process = ros.start("mbrl_controller.nodes.controller", {**self.given, "autostart": True})
        self.hand = Hand(ros, tells_time=bool(parameters.get("use_sim_time")), name=hand)
        self.hand.start()

    def start_logger(self, log_dir: Path) -> None:
        """Log what it does, and wait until that is logged."""
        more = {"use_sim_time": True} if self.given.get("use_sim_time") else {}
        given = {"contract": self.given["contract"], "log_dir": str(log_dir), "autostart": True, **more}
        reports = self.ros.diagnostics("logger: logging")
        self.ros.start("mbrl_controller.nodes.logger", given)
        self.ros.wait(lambda: reports and not reports[-1][2]["silent topics"], "a logger that hears all")

    def logged(self, log_dir: Path, episode: float) -> Episode:
        """What was logged of the episode of this number, once it is closed."""
        name = f"episode_{round(episode):04d}.mcap"
        return read_episode(self.ros.wait(lambda: next(log_dir.rglob(name), None), "a closed log"))

    def fault(self, phase: float = 0.5, **what: Any) -> float:
        """Spoil the hand's messages so large a part of a control period after a tick; when (s, time.monotonic)."""
        self.reports.clear()
        self.hand.wait_for_phase(phase)
        return self.hand.change(**what)

    def said(self, *words: str) -> str:
        """The first message on /diagnostics, since the last fault, with one of `words` in it."""
        return str(
            self.ros.wait(
                lambda: next((r[1] for r in self.reports if any(word in r[1] for word in words)), ""),
                f"{' or '.join(words)} on /diagnostics",
            )
        )

    def wait_for_level(self, level: bytes) -> None:
        """Until the newest report has this level: on a busy machine a tick may be late as well, for a while."""
        self.ros.wait(lambda: self.reports[-1][0] == level, f"a report of level {level!r}")

    def values(self, state: str = "running") -> dict[str, str]:
        """The values of the next report in this safety state."""
        self.reports.clear()
        return dict(
            self.ros.wait(
                lambda: next((r[2] for r in self.reports if r[2].get("safety state") == state), None),
                f"a report that says {state}",
            )
        )

    def wait_until_running(self, ticks: int = 10) -> float:
        """Wait for so many planned commands in a row; when the first of them came (s, time.monotonic)."""

        def run() -> list[Tick]:
            return self.hand.ticks[-ticks:]

        self.ros.wait(lambda: len(run()) == ticks and all(tick.planned for tick in run()), "control")
        return run()[0].time

    def wait_until_safe(self, fault: float) -> float:
        """Wait for the first tick without a plan; control periods from `fault` to the last planned one."""
        self.ros.wait(lambda: self.hand.is_safe(fault), "a safe command, or none")
        return self.hand.periods_until_safe(fault)

    def close(self) -> None:
        """Stop the hand."""
        self.hand.close()


@pytest.fixture(scope="module")
def module_ros(ros_env: dict[str, str]) -> Iterator[Ros]:
    """As `ros`, for processes that all tests of a file share."""
    helper = Ros(ros_env)
    yield helper
    helper.close()
