# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl demo`: the simulated hand, the controller and the logger, each in its own process as on a robot."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbrl_controller.base.files import write_json
from mbrl_controller.base.resources import home_dir
from mbrl_controller.control.heads import Asked
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.random_motion import RandomPlanner
from mbrl_controller.stack.launcher import SimulatedHand, StackConfig, make_config, run_stack, watch
from mbrl_controller.stack.processes import ProcessGroup, wait_for

if TYPE_CHECKING:
    from mbrl_controller.stack.demo_recorder import DemoRecord

WATCHER_NICE = 5  # watching must not slow down the controller
PANEL_PORT = 8080
PANEL_S = 60.0


def run(
    task: str = "baoding",
    *,
    seconds: float = 30.0,
    rate: float | None = None,
    viewer: bool = True,
    model: str = "current",
    planner: str | None = None,
    policy: Asked = "auto",
    seed: int = 0,
    hand: SimulatedHand | None = None,
    json_file: Path | None = None,
    on_note: Callable[[str], None] = lambda text: None,
    on_progress: Callable[[float, DemoRecord], None] = lambda elapsed, record: None,
) -> tuple[dict[str, Any], bool]:
    """Run the nodes for `seconds`; returns the report, and False if Ctrl-C ended the run.

    Args:
        task: name of the task.
        seconds: how long the controller runs.
        rate: of the loop, Hz; must be the model's own, as None is.
        viewer: serve the panel on this machine, in a process of its own.
        model: model version.
        planner: of the controller; None: as its parameter file says, or random motion where the task has no model yet.
        policy: who acts: the planner, or the version's policy alone; auto: the planner if it or another simulated hand
            is named, else as the task's defaults say.
        seed: seed of the planner and of the simulated hand.
        hand: that is simulated; None: the task's own.
        json_file: where the report is written.
        on_note: called with lines for the user, such as the panel's address.
        on_progress: called a few times a second with the time passed (s) and what was recorded so far.

    Raises:
        MbrlError: the nodes cannot be run, or one of them fails.
    """
    began = time.monotonic()
    if policy != "distilled" and planner is None and model == "current" and not Registry().versions(task):
        planner = RandomPlanner.name
        on_note(f"{task}: no model yet, so the hand moves at random; mbrl learn {task} --keep makes one")
    folder = home_dir() / "episodes"
    config = make_config(
        "demo", task, folder, rate=rate, model=model, planner=planner, policy=policy, seed=seed, hand=hand
    )
    from mbrl_controller.stack.demo_recorder import DemoRecord, DemoRecorder

    if viewer:
        config = replace(config, panel={"port": _free_port()})
    record = DemoRecord(config.contract.task, config.contract.action.period)

    def control(group: ProcessGroup) -> None:
        on_note(f"{task}: model {config.version}, {config.rate:g} Hz, {seconds:g} s")
        os.nice(WATCHER_NICE)
        with DemoRecorder(config.contract, record) as recorder:
            recorder.prepare(group)
            if viewer:
                on_note(f"watch at {_panel_url(group)}")
            recorder.begin(group)
            watch(seconds, group, lambda elapsed: on_progress(elapsed, record))

    finished = run_stack(config, control)
    report = _report(config, seconds, record, began)
    if json_file is not None:
        write_json(json_file, report)
    return report, finished


def _free_port() -> int:
    """The panel's default port, or another if that is taken."""
    for port in (PANEL_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return PANEL_PORT


def _panel_url(group: ProcessGroup) -> str:
    """The address that the panel has logged."""
    found: list[str] = []

    def logged() -> bool:
        found[:] = re.findall(r"watch at (\S+)", group.children["panel"].log.read_text(errors="replace"))
        return bool(found)

    wait_for(logged, "the panel does not start", PANEL_S, group)
    return found[0]


def _report(config: StackConfig, seconds: float, record: DemoRecord, began: float) -> dict[str, Any]:
    first = None if record.first_plan is None else record.first_plan - began
    return {
        "task": config.contract.task.name,
        "model": config.version,
        "seed": config.seed,
        "seconds": seconds,
        "time to first motion (s)": first,
        "time in all (s)": time.monotonic() - began,
        **record.summary(),
        "episode files": len(list(config.folder.glob("*.mcap"))),
        "folder": str(config.folder),
    }
