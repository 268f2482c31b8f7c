# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes through the running nodes in real time, as on a real hand: sim, controller and logger as the demo has them.

Random motion is not among them: no node moves a hand without a plan, so that is collected in lockstep.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import format_options
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.schedule import EpisodeBatch
from mbrl_controller.stack.demo_recorder import DemoRecord
from mbrl_controller.stack.launcher import STOP_ORDER
from mbrl_controller.stack.processes import ProcessGroup, free_domain, local_environment, ros_arguments, wait_for

AGAIN = "_again"  # with a letter that no name of a behaviour has
START_S = 30.0  # until the controller ticks
PATIENCE_S = 60.0  # beyond an episode's length, until the next one is logged
POLL_S = 0.1


def batch_folders(base: Path, batch: EpisodeBatch) -> list[Path]:
    """The folders below `base` that hold a batch's episodes: where it was interrupted, there are several."""
    again = sorted(base.glob(f"{batch.name}{AGAIN}*"))
    return [folder for folder in (base / batch.name, *again) if folder.is_dir()]


def collect_through_ros(
    plan: LearnPlan,
    batch: EpisodeBatch,
    *,
    contract: RobotContract,
    contract_file: Path,
    version: str,
    models_dir: Path,
    episodes_dir: Path,
    on_episode: Callable[[], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Log episodes of `batch` until there are as many as it asks for; False where `should_stop` ended it before.

    What was logged already counts. The one that runs when there are enough is kept as far as it came. Raises
    MbrlError, also for a process that fails.
    """
    from mbrl_controller.stack.demo_monitor import DemoMonitor

    base = episodes_dir / plan.task
    seen = _logged(base, batch)
    for _ in range(min(seen, batch.episodes)):
        on_episode()
    if seen >= batch.episodes:
        return True
    began_before = len(batch_folders(base, batch))
    name = f"{batch.name}{AGAIN}{began_before:03d}" if began_before else batch.name
    environment = local_environment(free_domain())
    os.environ.update(environment)  # the monitor is a node in this process
    seconds = batch.rollout.seconds or contract.task.episode_s
    given = parameters(plan, batch, name, contract_file, version, models_dir, episodes_dir, seconds)
    with ProcessGroup(environment, STOP_ORDER) as group:
        for node, own in given.items():
            files = [share_dir() / "config" / f"{node}.yaml"]
            group.start(node, f"mbrl_controller.nodes.{node}", ros_arguments(files, own))
        record = DemoRecord(contract.task, contract.action.period)
        with DemoMonitor(contract, record) as monitor:
            for node in ("logger", "controller"):
                monitor.change(node, "configure", group)
            monitor.change("logger", "activate", group)
            monitor.wait_until_connected(2, group)  # this process and the logger
            monitor.change("controller", "activate", group)
            wait_for(lambda: record.rows, "the controller does not tick", START_S, group)
            finished = _wait(base, batch, seen, seconds + PATIENCE_S, group, on_episode, should_stop)
        group.stop()
        group.check()
    return finished


def parameters(
    plan: LearnPlan,
    batch: EpisodeBatch,
    name: str,
    contract_file: Path,
    version: str,
    models_dir: Path,
    episodes_dir: Path,
    seconds: float,
) -> dict[str, dict[str, Any]]:
    """Each node's parameters for a session called `name`: what the batch's RolloutConfig says, in the nodes' words."""
    contract = str(contract_file)
    rollout, core = batch.rollout, batch.rollout.core
    assert core is not None  # a batch that plans has one
    controller: dict[str, Any] = {
        "autostart": False,
        "contract": contract,
        "models_dir": str(models_dir),
        "model_version": version,
        "precision": plan.precision,
        "session": name,
        "seed": batch.seed,
        "episode_s": float(seconds),  # 0 would be: without end
        "auto_reset": True,
        "reset_service": "sim/reset",
        "exploration": float(rollout.exploration),
        "goal_options": format_options(rollout.goal_options),
        # A model at the beginning is unsure everywhere; to hold still then would be to learn nothing.
        "check_disagreement": False,
        "drop_cost": float(core.drop_cost),
        "goal_lead": float(core.goal_lead),
        "delay": core.delay,
        "delay_s": float(core.delay_s),
        "risk.kind": core.risk.kind,
        "risk.k": float(core.risk.k),
        "planner.name": plan.planner_name,
        # An empty list has no type that ROS could tell; it is what the planner takes by itself.
        **{f"planner.{option}": value for option, value in rollout.planner_options.items() if value != []},
    }
    sim = {f"options.{option}": value for option, value in rollout.sim_options.items()}
    return {
        "sim": {"autostart": True, "contract": contract, "seed": batch.seed, "preset": plan.sim, **sim},
        "controller": controller,
        "logger": {"autostart": False, "contract": contract, "log_dir": str(episodes_dir)},
    }


def _wait(
    base: Path,
    batch: EpisodeBatch,
    seen: int,
    patience: float,
    group: ProcessGroup,
    on_episode: Callable[[], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Until enough episodes are logged (True) or someone wants to stop (False)."""
    last = time.monotonic()
    while seen < batch.episodes:
        group.check()
        if should_stop():
            return False
        if _logged(base, batch) > seen:
            seen, last = seen + 1, time.monotonic()
            on_episode()
        elif time.monotonic() - last > patience:
            raise MbrlError(f"{batch.name}: no episode was logged for {patience:.0f} s")
        time.sleep(POLL_S)
    return True


def _logged(base: Path, batch: EpisodeBatch) -> int:
    return sum(len(list(folder.glob("*.mcap"))) for folder in batch_folders(base, batch))
