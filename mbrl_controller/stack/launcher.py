# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Start and stop the nodes as on a robot, each in a process: controller, logger and, for a simulated hand, sim."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.heads import Asked
from mbrl_controller.control.task_config import contract_for, contract_path
from mbrl_controller.models.origin import check_robot, parse_mix
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.simulation.sim_presets import node_parameters
from mbrl_controller.stack.cpu_load import cpu_load
from mbrl_controller.stack.processes import (
    NODE_ENVIRONMENT,
    ProcessGroup,
    free_domain,
    local_environment,
    ros_arguments,
)

STOP_ORDER = ("controller", "logger", "sim", "panel")  # first what moves the hand; the logger before the hand stops
NEEDED = ("rclpy", "mujoco")
REFRESH_S = 0.25
MODULES = {"panel": "mbrl_controller.panel.node"}  # of nodes that are in a room of their own
STATES_PER_TICK = 2.0  # at least, for loops too fast for the sim's default rate
STATE_RATES = (100.0, 1000.0)  # Hz, the sim's default and its maximum


@dataclass(frozen=True)
class SimulatedHand:
    """Which hand is simulated, and how well it is sensed. None: the task's own contract."""

    contract: Path | None = None
    sim: str = "nominal"  # preset
    sim_options: Mapping[str, Any] = field(default_factory=dict)  # override single options of it
    mix: str = ""  # robots: the model may be of another robot

    def parameters(self) -> dict[str, Any]:
        """Parameters of the sim; raises MbrlError for what is unknown or out of range."""
        return node_parameters(self.sim, self.sim_options)


@dataclass(frozen=True)
class StackConfig:
    """Which task, model and rate the nodes run, and where the episodes are logged."""

    contract_path: Path
    contract: RobotContract
    version: str  # the planner's name where it needs no model
    session: str
    log_dir: Path
    seed: int
    rate: float  # Hz
    controller: dict[str, Any] = field(default_factory=dict)  # parameters besides those in `parameters`
    sim: dict[str, Any] = field(default_factory=dict)
    panel: dict[str, Any] | None = None  # None: there is none
    is_real: bool = False  # the hand's own driver runs already, in this process's ROS domain

    @property
    def folder(self) -> Path:
        """Folder of the session's episodes."""
        return self.log_dir / self.contract.task.name / self.session

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameters by node."""
        contract = str(self.contract_path)
        lowest, highest = STATE_RATES
        sim = {
            "autostart": True,
            "contract": contract,
            "seed": self.seed,
            "state_rate": min(max(lowest, STATES_PER_TICK * self.rate), highest),
            **self.sim,
        }
        return {
            **({} if self.is_real else {"sim": sim}),
            "controller": {
                "autostart": False,
                "contract": contract,
                "model_version": self.version,
                "session": self.session,
                "seed": self.seed,
                "rate": self.rate,
                "episode_s": float(self.contract.task.episode_s),
                "auto_reset": True,
                "reset_service": "" if self.is_real else "sim/reset",
                **self.controller,
            },
            "logger": {"autostart": False, "contract": contract, "log_dir": str(self.log_dir)},
            **({} if self.panel is None else {"panel": {"contract": contract, **self.panel}}),
        }


def make_config(
    kind: str,
    task: str,
    log_dir: Path,
    *,
    rate: float | None = None,
    any_rate: bool = False,
    model: str = "current",
    planner: str | None = None,
    policy: Asked = "auto",
    seed: int = 0,
    controller: dict[str, Any] | None = None,
    hand: SimulatedHand | None = None,
) -> StackConfig:
    """A checked configuration: invalid input is found here, before any process starts.

    Args:
        kind: first part of the session's name.
        task: name of the task.
        log_dir: folder for episodes.
        rate: of the control loop, Hz; None for the model's own.
        any_rate: also accept a rate other than the model's own.
        model: model version; none is looked for where the planner needs none.
        planner: of the controller; None: as its parameter file says.
        policy: who acts: the planner, or the version's policy alone; auto: the planner if it or another simulated hand
            is named, else as the task's defaults say.
        seed: seed of the planner and of the simulated hand.
        controller: further parameters of the controller.
        hand: that is simulated.

    Raises:
        MbrlError: the task, version or rate does not exist or fit.
        ModuleNotFoundError: ROS or MuJoCo is not installed.
    """
    require_modules()
    from mbrl_controller.nodes.controller_options import check_rate

    hand = hand or SimulatedHand()
    sim, mix = hand.parameters(), parse_mix(hand.mix)
    by_default = policy == "auto" and not planner and hand.sim == "nominal" and not hand.sim_options
    contract = contract_for(task, hand.contract)
    if not any_rate:
        check_rate(rate or 0.0, contract.action.period)
    if policy == "distilled" or planner is None or PLANNERS[planner].needs_model:
        found = Registry().resolve(task, model, "" if "robots" in mix else contract.file.robot)
        card, version = found.check_digest(), found.name
        spec = card.spec
        if policy == "distilled":
            found.require_policy(card)
        else:
            found.require_model(card)
        check_robot(spec.robot, contract.file.robot, mix, version)
        spec.check_fits(contract.task, contract.action)
    else:
        version = planner
    return StackConfig(
        contract_path=hand.contract or contract_path(task),
        contract=contract,
        version=version,
        session=f"{kind}-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}",
        log_dir=log_dir,
        seed=seed,
        rate=rate or 1.0 / contract.action.period,
        controller={
            **({"any_rate": True} if any_rate else {}),
            **({"planner.name": planner} if planner else {}),
            **({} if by_default else {"policy": "controller" if policy == "auto" else policy}),
            **({"mix": "robots"} if "robots" in mix else {}),
            **(controller or {}),
        },
        sim=sim,
    )


def require_modules(is_real: bool = False) -> None:
    """Raise ModuleNotFoundError here, rather than in a child process later. A real hand needs no simulator."""
    for module in NEEDED[: 1 if is_real else None]:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


@contextmanager
def running_nodes(parameters: Mapping[str, Mapping[str, Any]], *, alone: bool = True) -> Iterator[ProcessGroup]:
    """Run a node with its config file and `parameters` for each name.

    Unless others must be reached, they have a ROS domain of their own, which is set in this process, too: a monitor in
    the block is a node beside them. They are stopped in order at the end. Raises MbrlError if one failed.
    """
    environment = local_environment(free_domain()) if alone else dict(NODE_ENVIRONMENT)
    os.environ.update(environment)
    with ProcessGroup(environment, STOP_ORDER) as group:
        for name, own in parameters.items():
            files = [share_dir() / "config" / f"{name}.yaml"]
            group.start(name, MODULES.get(name, f"mbrl_controller.nodes.{name}"), ros_arguments(files, own))
        yield group
        group.stop()
        group.check()


def run_stack(config: StackConfig, control: Callable[[ProcessGroup], None], stress_cores: int = 0) -> bool:
    """Start the nodes, call `control`, stop them in order; False after Ctrl-C. Raises MbrlError if a node fails.

    `stress_cores` processes load the machine while `control` runs.
    """
    try:
        with running_nodes(config.parameters(), alone=not config.is_real) as group, cpu_load(stress_cores):
            control(group)
    except KeyboardInterrupt:
        return False
    return True


def watch(seconds: float, group: ProcessGroup, each: Callable[[float], None]) -> None:
    """Wait for `seconds` and call `each` with the time passed (s) meanwhile; raises MbrlError when a node fails."""
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        group.check()
        each(elapsed)
        time.sleep(min(REFRESH_S, max(0.0, seconds - (time.monotonic() - began))))
    group.check()
