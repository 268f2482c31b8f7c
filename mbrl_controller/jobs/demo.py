"""`mbrl demo`: the simulated hand, the controller and the logger as the processes they are on a robot."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.table import Table

from mbrl_controller.episodes.contract import RobotContract
from mbrl_controller.jobs.demo_record import DemoRecord
from mbrl_controller.jobs.processes import ProcessGroup, free_domain, local_environment, ros_arguments, wait_for
from mbrl_controller.jobs.reporting import console, error_console
from mbrl_controller.jobs.task_defaults import contract_for, contract_path
from mbrl_controller.registry import Registry
from mbrl_controller.resources import home_dir, share_dir

STOP_ORDER = ("controller", "logger", "sim")  # the hand's master first, and nothing is logged of an unmoved hand
NEEDED = ("rclpy", "mujoco")
WATCHER_NICE = 5  # to look on must not cost the controller its pace
VIEWER_PORT = 8080
VIEWER_S = 60.0
REFRESH_S = 0.25
PLAIN_EVERY_S = 5.0  # a line this often where there is no terminal


@dataclass(frozen=True)
class DemoPlan:
    """What is run."""

    contract_path: Path
    contract: RobotContract
    version: str
    session: str
    log_dir: Path
    seconds: float
    rate: float | None
    seed: int
    viewer: bool


def run(
    task: str = "baoding",
    *,
    seconds: float = 30.0,
    rate: float | None = None,
    headless: bool = False,
    model: str = "current",
    seed: int = 0,
    json_file: Path | None = None,
) -> dict[str, Any]:
    """Run the demo and print its table; returns (and writes to `json_file`) the figures.

    Raises MbrlError for what cannot be run, and when a process fails; KeyboardInterrupt after an orderly stop.
    """
    began = time.monotonic()
    require_modules()
    plan = _make_plan(task, seconds, rate, headless, model, seed)
    record = DemoRecord(plan.contract.task, plan.contract.action.period)
    interrupted = False
    environment = local_environment(free_domain())
    os.environ.update(environment)  # the monitor is a node in this process
    with ProcessGroup(environment, STOP_ORDER) as group:
        try:
            _control(plan, record, group)
        except KeyboardInterrupt:
            interrupted = True
        group.stop()
        if not interrupted:
            group.check()
    report = _report(plan, record, began)
    console.print(_table(report))
    console.print(f"episodes in {report['folder']}", soft_wrap=True)
    if json_file is not None:
        from mbrl_controller.jobs.evaluate import write_json

        write_json(json_file, report)
    if interrupted:
        raise KeyboardInterrupt
    return report


def require_modules() -> None:
    """Raises ModuleNotFoundError now, rather than as the failure of a process later."""
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def _make_plan(task: str, seconds: float, rate: float | None, headless: bool, model: str, seed: int) -> DemoPlan:
    """Everything that can be wrong is found here, before a process is started."""
    from mbrl_controller.nodes.controller_options import check_rate

    contract = contract_for(task)
    check_rate(rate or 0.0, contract.action.period)
    version = Registry().resolve(task, model)
    version.check_digest().spec.check_fits(contract.task, contract.action)
    viewer = not headless
    if viewer and importlib.util.find_spec("mjviser") is None:
        error_console.print("no viewer: pip install 'mbrl_controller\\[viewer]' (or --headless)")
        viewer = False
    return DemoPlan(
        contract_path=contract_path(task),
        contract=contract,
        version=version.name,
        session=f"demo-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}",
        log_dir=home_dir() / "episodes",
        seconds=seconds,
        rate=rate,
        seed=seed,
        viewer=viewer,
    )


def _control(plan: DemoPlan, record: DemoRecord, group: ProcessGroup) -> None:
    """From the first process to the end of the time asked for."""
    from mbrl_controller.jobs.demo_monitor import DemoMonitor

    task = plan.contract.task.name
    console.print(f"{task}: model {plan.version}, {1 / plan.contract.action.period:g} Hz, {plan.seconds:g} s")
    with ExitStack() as stack:
        starting = stack.enter_context(console.status("starting the sim, the controller and the logger"))
        _start(plan, group)
        os.nice(WATCHER_NICE)
        monitor = stack.enter_context(DemoMonitor(plan.contract, record))
        for name in ("logger", "controller"):
            monitor.change(name, "configure", group)
        monitor.change("logger", "activate", group)
        monitor.wait_until_connected(2, group)  # this process and the logger
        if plan.viewer:
            console.print(f"watch at {_viewer_url(group)}")
        monitor.change("controller", "activate", group)
        wait_for(lambda: record.rows, "the controller does not tick", 20.0, group)
        starting.stop()
        _watch(plan, record, group)


def _start(plan: DemoPlan, group: ProcessGroup) -> None:
    config = share_dir() / "config"
    contract = str(plan.contract_path)
    controller: dict[str, Any] = {
        "autostart": False,
        "contract": contract,
        "model_version": plan.version,
        "session": plan.session,
        "seed": plan.seed,
        "episode_s": float(plan.contract.task.episode_s),
        "auto_reset": True,
        "reset_service": "sim/reset",
    }
    if plan.rate:
        controller["rate"] = plan.rate
    parameters: dict[str, dict[str, Any]] = {
        "sim": {
            "autostart": True,
            "contract": contract,
            "seed": plan.seed,
            "viewer_port": _free_port() if plan.viewer else 0,
        },
        "controller": controller,
        "logger": {"autostart": False, "contract": contract, "log_dir": str(plan.log_dir)},
    }
    for name, own in parameters.items():
        group.start(name, f"mbrl_controller.nodes.{name}", ros_arguments([config / f"{name}.yaml"], own))


def _free_port() -> int:
    """The usual port of the viewer, or another where that is taken."""
    for port in (VIEWER_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return VIEWER_PORT


def _viewer_url(group: ProcessGroup) -> str:
    """The address that the sim has logged."""
    found: list[str] = []

    def logged() -> bool:
        found[:] = re.findall(r"watch at (\S+)", group.children["sim"].log.read_text(errors="replace"))
        return bool(found)

    wait_for(logged, "the viewer does not start", VIEWER_S, group)
    return found[0]


@contextmanager
def _display(plan: DemoPlan, record: DemoRecord) -> Iterator[Any]:
    """A callback that shows the present: a live line on a terminal, a plain one now and then elsewhere."""
    last = time.monotonic()
    if console.is_terminal:
        with Live(console=console, refresh_per_second=1 / REFRESH_S, transient=True) as live:
            yield lambda elapsed: live.update(_line(plan, record, elapsed))
        return

    def show(elapsed: float) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_EVERY_S:
            last = time.monotonic()
            console.print(_line(plan, record, elapsed), soft_wrap=True)

    yield show


def _watch(plan: DemoPlan, record: DemoRecord, group: ProcessGroup) -> None:
    began = time.monotonic()
    with _display(plan, record) as show:
        while (elapsed := time.monotonic() - began) < plan.seconds:
            group.check()
            show(elapsed)
            time.sleep(min(REFRESH_S, plan.seconds - elapsed))


def _line(plan: DemoPlan, record: DemoRecord, elapsed: float) -> str:
    row = record.rows[-1]
    task = plan.contract.task
    parts = [
        f"{elapsed:5.1f} s",
        f"tick {len(record.rows)}",
        f"missed {row['missed_ticks']:.0f}",
        f"late {1e3 * row['lateness']:.2f} ms",
        f"reward {row['reward']:.3g}",
    ]
    metrics = record.episodes[-1].metrics(task, plan.contract.action.period) if record.episodes else None
    if metrics is not None:
        parts.append(f"return {metrics.episode_return:.3g}")
        parts.append(f"turned {metrics.degrees_turned:.0f} deg")
        parts.append(f"goal error {metrics.final_goal_error:.3g} {task.goal_unit}")
    return " | ".join(part for part in parts if "nan" not in part)


def _report(plan: DemoPlan, record: DemoRecord, began: float) -> dict[str, Any]:
    folder = plan.log_dir / plan.contract.task.name / plan.session
    first = None if record.first_plan is None else record.first_plan - began
    return {
        "task": plan.contract.task.name,
        "model": plan.version,
        "seed": plan.seed,
        "seconds": plan.seconds,
        "time to first motion (s)": first,
        "time in all (s)": time.monotonic() - began,
        **record.summary(),
        "episode files": len(list(folder.glob("*.mcap"))),
        "folder": str(folder),
    }


def _table(report: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in report.items():
        if value is not None and name != "folder":
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    return table
