# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Processes that die or stand still: the claw in real time, its controller and its logger."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco")

from sensor_msgs.msg import JointState

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.nodes import qos

from ..conftest import NodeProcess, linear_registry
from .conftest import Witness

pytestmark = [pytest.mark.ros, pytest.mark.slow]
CONTRACT = share_dir() / "config" / "claw_valve.yaml"
STOPPED_S = 2.0


class Claw:
    """The claw's service: sim, controller and logger, each a process, and a witness of what they do."""

    def __init__(self, ros: Any, folder: Path) -> None:
        self.ros = ros
        self.action = load_contract(CONTRACT).action
        models = linear_registry(load_contract(CONTRACT), folder, ("v0001",), turn=0.0)
        common = {"contract": str(CONTRACT), "autostart": True}
        self.log_dir = folder / "episodes"
        self._given = {
            "sim": common,
            "logger": common | {"log_dir": str(self.log_dir)},
            "controller": common | {"models_dir": str(models), "planner.num_samples": 16, "check_disagreement": False},
        }
        self.positions: list[tuple[float, np.ndarray]] = []  # when it came (s, time.monotonic), [A] rad
        ros.node.create_subscription(JointState, "joint_states", self._on_joints, qos.SENSOR)
        self.reports = {
            "controller": ros.diagnostics("controller: control"),
            "logger": ros.diagnostics("logger: logging"),
            "sim": ros.diagnostics("sim: simulation"),
        }
        self.witness = Witness(ros, "hand_controller/commands", self.action.period)
        self.witness.start()
        self.processes: dict[str, NodeProcess] = {}
        for name in ("sim", "logger", "controller"):
            self.start(name)

    def start(self, name: str) -> None:
        """Start a node."""
        self.processes[name] = self.ros.start(f"mbrl_controller.nodes.{name}", self._given[name])

    def kill(self, name: str) -> float:
        """kill -9; when (s, time.monotonic)."""
        self.reports[name].clear()
        self.processes[name].popen.send_signal(signal.SIGKILL)
        when = time.monotonic()
        self.processes[name].stop(signal.SIGKILL)
        return when

    def wait_until_running(self) -> float:
        """Start what another test left dead, wait for planned commands that are logged; now (s, time.monotonic)."""
        for name in [name for name, process in self.processes.items() if not process.alive]:
            self.start(name)
        began = time.monotonic()
        self.reports["logger"].clear()
        self.ros.wait(
            lambda: (
                len([t for t in self.witness.after(began) if t.planned]) > 5
                and self.reports["logger"]
                and self.reports["logger"][-1][1] == "logging"
            ),
            "control and logging",
        )
        return time.monotonic()

    def said(self, name: str, *words: str) -> str:
        """The first message of a node on /diagnostics with one of `words`, since its reports were cleared."""
        return str(
            self.ros.wait(
                lambda: next((r[1] for r in self.reports[name] if any(word in r[1] for word in words)), ""),
                f"{' or '.join(words)} of {name} on /diagnostics",
            )
        )

    def value(self, name: str, key: str) -> str:
        """A value of the next report."""
        self.reports[name].clear()
        return str(self.ros.wait(lambda: self.reports[name] and self.reports[name][-1][2], "a report")[key])

    def position(self, when: float) -> np.ndarray:
        """Joint angles [A] (rad) as last measured by `when` (s, time.monotonic)."""
        return [position for at, position in self.positions if at <= when][-1]

    def let_pass(self, seconds: float) -> None:
        """Handle messages for so long."""
        end = time.monotonic() + seconds
        self.ros.wait(lambda: time.monotonic() > end, "time to pass")

    def logged(self) -> list[Path]:
        """Files of the log, oldest first."""
        return sorted(self.log_dir.rglob("*.mcap*"), key=lambda file: file.stat().st_mtime)

    def _on_joints(self, message: JointState) -> None:
        order = [list(message.name).index(name) for name in self.action.names]
        self.positions.append((time.monotonic(), np.array(message.position)[order]))


@pytest.fixture(scope="module")
def service(module_ros: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Claw]:
    """A claw under control. Each test leaves it so."""
    made = Claw(module_ros, tmp_path_factory.mktemp("service"))
    try:
        made.wait_until_running()
        yield made
    finally:
        made.witness.close()


def assert_within_reach(service: Claw, since: float) -> None:
    """Each command was near where the hand was when it came; half a period of motion allowed for."""
    reach = 1.5 * service.action.max_rate * service.action.period
    for when, command in [c for c in service.witness.commands if c[0] > since]:
        assert (np.abs(command - service.position(when)) <= reach).all()
        assert (command >= service.action.lower).all()
        assert (command <= service.action.upper).all()


def test_kill_9_of_the_logger(service: Claw, fault_row: Any) -> None:
    service.wait_until_running()
    missed = service.value("controller", "missed ticks")
    killed = service.kill("logger")
    files = service.logged()
    file = files[-1]
    service.ros.wait(lambda: sum(tick.planned for tick in service.witness.after(killed)) > 10, "control to go on")
    more = int(service.value("controller", "missed ticks")) - int(missed)
    ticks = service.witness.after(killed)
    planned = sum(tick.planned for tick in ticks)
    episode = read_episode(file)
    sent = [tick for tick in service.witness.ticks if tick.time <= killed][-1].row["stamp"]
    gone = sent - 1e-9 * episode.commands.stamps[-1]  # s that were under way to the disk
    assert gone <= 0.5
    service.start("logger")
    service.wait_until_running()
    assert len(service.logged()) == len(files) + 1
    assert len(list(service.log_dir.rglob("*.part"))) == 1
    fault_row(
        fault="kill -9 of the logger",
        hand=f"followed {planned} plans in {len(ticks)} periods; {more} missed ticks",
        diagnostics=service.said("logger", "logging"),
        periods=service.witness.periods_to_last((t.time for t in ticks if not t.planned), killed),
        lost=f"of the log the last {gone:.2f} s before the kill, and all until the restart; the file reads",
    )


def test_sigstop_of_the_controller(service: Claw, fault_row: Any) -> None:
    running = service.wait_until_running()
    period = service.action.period
    missed = int(service.value("controller", "missed ticks"))
    process = service.processes["controller"].popen
    process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    service.let_pass(STOPPED_S)
    process.send_signal(signal.SIGCONT)
    continued = time.monotonic()
    service.let_pass(10 * period)
    times = np.array([when for when, _ in service.witness.commands])
    # One may have been on its way when the process was stopped.
    assert not ((times > stopped + period) & (times < continued)).any()
    after = times[times > continued]
    assert len(after) >= 3
    assert np.diff(after).min() > 0.4 * period
    assert_within_reach(service, continued)
    counted = int(service.value("controller", "missed ticks")) - missed
    assert counted >= int(STOPPED_S / period) - 2
    service.wait_until_running()
    said = next((r[1] for r in service.reports["controller"] if "missed" in r[1] or "held up" in r[1]), "")
    late = [tick for tick in service.witness.after(stopped) if tick.time < continued and tick.planned]
    fault_row(
        fault=f"SIGSTOP of the controller for {STOPPED_S:.0f} s",
        hand=f"no command meanwhile; then none closer than {np.diff(after).min() / period:.1f} periods to the next, "
        "all within reach of where the hand was",
        diagnostics=said or f"missed ticks: {counted} more",
        periods=service.witness.periods_to_last((tick.time for tick in late), stopped),
        lost=f"{counted} ticks, counted as missed",
    )
    assert running < stopped


def test_kill_9_of_the_controller(service: Claw, fault_row: Any) -> None:
    running = service.wait_until_running()
    service.reports["sim"].clear()
    before = [t for t in service.witness.ticks if t.row["episode"] >= 0][-1].row
    killed = service.kill("controller")
    files = service.logged()
    file = files[-1].with_suffix("")  # without .part
    said = service.said("sim", "no commands: the last target is held")
    service.let_pass(0.5)
    periods = service.witness.periods_to_last((when for when, _ in service.witness.commands), killed)
    rest = np.array([position for at, position in service.positions if at > time.monotonic() - 0.4])
    moved = float(np.ptp(rest, axis=0).max())
    assert moved < 0.05
    restarted = time.monotonic()
    service.start("controller")
    service.wait_until_running()
    assert_within_reach(service, restarted)
    period = service.action.period
    heard, first = next((when, command) for when, command in service.witness.commands if when > restarted)
    # It starts from where the hand is, slowly: by a fifth more of the way that the rate allows with each command. The
    # first one heard need not be the first one sent: the topic may be found late.
    until_then = [t for t in service.witness.after(restarted) if t.time < heard + 0.9 * period and t.planned]
    sent = 1 + max((round(t.row["episode_time"] / period) for t in until_then), default=0)
    reach = (service.action.max_rate * period).max()
    assert np.abs(first - rest[-1]).max() <= 1.5 * reach * np.minimum(np.arange(1, sent + 1) / 5, 1.0).sum()
    service.ros.wait(file.exists, "the log of before to be closed")
    episode = read_episode(file)
    assert episode.complete, episode.problem
    seen = sum(running < when <= killed for when, _ in service.witness.commands)
    logged = int((episode.ticks["stamp"] >= before["stamp"] - seen * service.action.period - 1e-3).sum())
    assert logged >= seen - 1
    service.ros.wait(lambda: set(service.logged()) - {*files, file}, "a file of the restarted one's episode")
    fault_row(
        fault="kill -9 of the controller",
        hand=f"kept its target (moved {moved:.3f} rad in .4 s); after the restart a new episode, from where it was",
        diagnostics=f"sim: {said}",
        periods=periods,
        lost=f"the rest of the episode; its log is whole, with {len(episode.commands)} commands",
    )


def test_kill_9_of_the_hands_driver(service: Claw, fault_row: Any) -> None:
    service.wait_until_running()
    service.reports["controller"].clear()
    killed = service.kill("sim")
    service.ros.wait(lambda: service.witness.is_safe(killed), "a safe command")
    periods = service.witness.periods_until_safe(killed)
    first = next(tick.time for tick in service.witness.after(killed) if not tick.planned)
    said = service.said("controller", "nothing received for")
    service.let_pass(0.5)
    held = service.witness.after(first)
    assert not any(tick.planned for tick in held)
    kept = np.array(service.witness.commands_after(first))
    moved = float(np.ptp(kept, axis=0).max()) if len(kept) else 0.0
    assert moved == pytest.approx(0.0, abs=1e-9)
    restarted = time.monotonic()
    service.start("sim")
    service.wait_until_running()
    assert_within_reach(service, restarted)
    fault_row(
        fault="kill -9 of the hand's driver (the sim)",
        hand=f"was sent its last target {len(kept)} times (moved {moved:.3f} rad); after the restart control goes on",
        diagnostics=said,
        periods=periods,
        lost="transitions until the restart",
    )
