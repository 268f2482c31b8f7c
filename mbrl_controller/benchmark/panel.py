# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark panel`: what the panel costs the controller. Spells with and without it take turns in one run."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mbrl_controller.base import machine
from mbrl_controller.base.files import write_json
from mbrl_controller.base.resources import home_dir, share_dir
from mbrl_controller.control.loop import start_thread
from mbrl_controller.stack.launcher import MODULES, SimulatedHand, StackConfig, run_stack, watch
from mbrl_controller.stack.processes import ProcessGroup, ros_arguments, wait_for
from mbrl_controller.stack.timed_run import timed_config
from mbrl_controller.stack.timing import LoopTimingStats

PORT = 8123
START_S = 60.0
SETTLE_S = 3.0  # after the panel's start or end, of which nothing counts
FIGURES = ("lateness_p50_ms", "lateness_p99_ms", "execution_p50_ms", "execution_p99_ms")
WITH, WITHOUT = "with the panel", "without"


def run(
    task: str = "baoding",
    *,
    seconds: float = 60.0,
    spells: int = 4,
    browsers: int = 1,
    realtime: bool = True,
    model: str = "current",
    hand: SimulatedHand | None = None,
    json_file: Path | None = None,
    on_progress: Callable[[str], None] = lambda what: None,
) -> tuple[dict[str, Any], bool]:
    """Measure the controller's timing; returns the report, and False if Ctrl-C ended it. No episode is kept.

    Args:
        task: name of the task.
        seconds: length of each spell.
        spells: how many there are with the panel, and as many without.
        browsers: how many read the whole page meanwhile, as a browser on another machine does: none draws.
        realtime: ask the system for SCHED_FIFO and locked memory.
        model: model version.
        hand: that is simulated; None: the task's own.
        json_file: where the report is written.
        on_progress: called with what begins.

    Raises:
        MbrlError: the nodes cannot be run, or one of them fails.
    """
    config = timed_config(
        "panel", task, home_dir() / "benchmark", rate=None, realtime=realtime, model=model, seed=0, hand=hand
    )
    stats = {which: LoopTimingStats(1.0 / config.rate) for which in (WITHOUT, WITH)}
    counting: list[LoopTimingStats] = []  # one while a spell counts

    def control(group: ProcessGroup) -> None:
        from mbrl_controller.stack.monitor import StackMonitor

        def add(row: dict[str, float]) -> None:
            for one in counting[:1]:
                one.add(row)

        with StackMonitor(config.contract, add) as monitor:
            monitor.prepare(group)
            monitor.begin(group)
            for spell in range(2 * spells):
                which = (WITHOUT, WITH)[spell % 2]
                on_progress(f"spell {spell + 1} of {2 * spells}: {which}")
                with _panel(config, group, browsers) if which == WITH else ExitStack():
                    watch(SETTLE_S, group, lambda elapsed: None)
                    counting[:] = [stats[which]]
                    watch(seconds, group, lambda elapsed: None)
                    counting.clear()

    try:
        finished = run_stack(config, control)
    finally:
        shutil.rmtree(config.folder, ignore_errors=True)
    rows = {which: {name: found.summary()[name] for name in ("ticks", *FIGURES)} for which, found in stats.items()}
    report = {
        "machine": machine.describe(),
        "task": config.contract.task.name,
        "model": config.version,
        "seconds": seconds,
        "spells": spells,
        "browsers": browsers,
        "rows": [{"spells": which, **row} for which, row in rows.items()],
        "ratios": {name: rows[WITH][name] / rows[WITHOUT][name] for name in FIGURES},
    }
    if json_file is not None:
        write_json(json_file, report)
    return report, finished


@contextmanager
def _panel(config: StackConfig, group: ProcessGroup, browsers: int) -> Iterator[None]:
    """A panel in the group, and readers of its page; both gone at the end."""
    parameters = {"contract": str(config.contract_path), "port": PORT}
    group.start("panel", MODULES["panel"], ros_arguments([share_dir() / "config" / "panel.yaml"], parameters))
    child = group.children["panel"]
    done = threading.Event()
    readers: list[Any] = []
    try:
        found: list[str] = []

        def told() -> bool:
            found[:] = re.findall(r"watch at (\S+)", child.log.read_text(errors="replace"))
            return bool(found)

        wait_for(told, "the panel does not start", START_S, group)
        readers = [start_thread(lambda: _read(found[0], done), "page reader") for _ in range(browsers)]
        yield
    finally:
        done.set()
        for reader in readers:
            reader.join()
        child.stop()
        del group.children["panel"]


def _read(url: str, done: threading.Event) -> None:
    """Take all that the page sends to a browser."""
    import viser
    from websockets.sync.client import connect
    from websockets.typing import Origin, Subprotocol

    address = urlsplit(url).netloc
    protocol = Subprotocol(f"viser-v{viser.__version__}")
    with connect(f"ws://{address}", origin=Origin(url), subprotocols=[protocol], max_size=None) as page:
        while not done.is_set():
            try:
                page.recv(timeout=0.2)
            except TimeoutError:
                continue
