# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The service as it is on a robot, for jobs to run: sim, controller and logger as processes of their own."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.live import Live

from mbrl_controller.base.console import console
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for, contract_path
from mbrl_controller.models.registry import Registry
from mbrl_controller.stack.cpu_load import burners
from mbrl_controller.stack.processes import ProcessGroup, free_domain, local_environment, ros_arguments

STOP_ORDER = ("controller", "logger", "sim")  # the hand's master first, and nothing is logged of an unmoved hand
NEEDED = ("rclpy", "mujoco")
REFRESH_S = 0.25
STATES_A_TICK = 2.0  # at least, for a loop that is faster than the sim's own rate allows for
STATE_RATES = (100.0, 1000.0)  # Hz, the sim's default and the most it takes


@dataclass(frozen=True)
class ServicePlan:
    """What is run, and below which folder its episodes are kept."""

    contract_path: Path
    contract: RobotContract
    version: str
    session: str
    log_dir: Path
    seed: int
    rate: float  # Hz
    controller: dict[str, Any] = field(default_factory=dict)  # parameters beyond those of every service
    sim: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the session's episodes are."""
        return self.log_dir / self.contract.task.name / self.session

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Each node's parameters."""
        contract = str(self.contract_path)
        lowest, highest = STATE_RATES
        return {
            "sim": {
                "autostart": True,
                "contract": contract,
                "seed": self.seed,
                "state_rate": min(max(lowest, STATES_A_TICK * self.rate), highest),
                **self.sim,
            },
            "controller": {
                "autostart": False,
                "contract": contract,
                "model_version": self.version,
                "session": self.session,
                "seed": self.seed,
                "rate": self.rate,
                "episode_s": float(self.contract.task.episode_s),
                "auto_reset": True,
                "reset_service": "sim/reset",
                **self.controller,
            },
            "logger": {"autostart": False, "contract": contract, "log_dir": str(self.log_dir)},
        }


def plan_service(
    kind: str,
    task: str,
    log_dir: Path,
    *,
    rate: float | None = None,
    any_rate: bool = False,
    model: str = "current",
    seed: int = 0,
    controller: dict[str, Any] | None = None,
) -> ServicePlan:
    """Everything that can be wrong is found here, before a process is started. `kind` begins the session's name.

    `rate` (Hz): None for the model's own; another is refused unless `any_rate`. Raises MbrlError, and
    ModuleNotFoundError for what is not installed.
    """
    require_modules()
    from mbrl_controller.nodes.controller_options import check_rate

    contract = contract_for(task)
    if not any_rate:
        check_rate(rate or 0.0, contract.action.period)
    version = Registry().resolve(task, model)
    version.check_digest().spec.check_fits(contract.task, contract.action)
    return ServicePlan(
        contract_path=contract_path(task),
        contract=contract,
        version=version.name,
        session=f"{kind}-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}",
        log_dir=log_dir,
        seed=seed,
        rate=rate or 1.0 / contract.action.period,
        controller={**({"any_rate": True} if any_rate else {}), **(controller or {})},
    )


def require_modules() -> None:
    """Raises ModuleNotFoundError now, rather than as the failure of a process later."""
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def run_service(plan: ServicePlan, control: Callable[[ProcessGroup], None], busy_cores: int = 0) -> bool:
    """Start the nodes, call `control`, stop them in order; False if Ctrl-C came. Raises MbrlError for one that fails.

    `busy_cores`: so many processes load the machine meanwhile.
    """
    interrupted = False
    environment = local_environment(free_domain())
    os.environ.update(environment)  # the monitor is a node in this process
    with ProcessGroup(environment, STOP_ORDER) as group:
        try:
            for name, own in plan.parameters().items():
                files = [share_dir() / "config" / f"{name}.yaml"]
                group.start(name, f"mbrl_controller.nodes.{name}", ros_arguments(files, own))
            with burners(busy_cores):
                control(group)
        except KeyboardInterrupt:
            interrupted = True
        group.stop()
        if not interrupted:
            group.check()
    return not interrupted


def watch(
    seconds: float,
    group: ProcessGroup,
    line: Callable[[float], str],
    *,
    plain_every: float,
    each: Callable[[float], None] = lambda elapsed: None,
) -> None:
    """Look on for `seconds`: show `line` of the time passed (s), call `each` with it; MbrlError when a node fails.

    The line lives on a terminal; elsewhere it is printed each `plain_every` s.
    """
    began = time.monotonic()
    with _display(line, plain_every) as show:
        while (elapsed := time.monotonic() - began) < seconds:
            group.check()
            each(elapsed)
            show(elapsed)
            time.sleep(min(REFRESH_S, max(0.0, seconds - (time.monotonic() - began))))
    group.check()


@contextmanager
def _display(line: Callable[[float], str], plain_every: float) -> Iterator[Callable[[float], None]]:
    if console.is_terminal:
        with Live(console=console, refresh_per_second=1 / REFRESH_S, transient=True) as live:
            yield lambda elapsed: live.update(line(elapsed))
        return
    last = 0.0

    def show(elapsed: float) -> None:
        nonlocal last
        if elapsed - last >= plain_every:
            last = elapsed
            console.print(line(elapsed), soft_wrap=True)

    yield show
