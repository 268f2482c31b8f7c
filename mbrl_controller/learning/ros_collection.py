# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes through the nodes in real time: controller and logger before a real hand, or before the sim.

A real hand's driver is nothing but the contract's topics. Nothing resets it unless it has a service for that: after a
drop, the next episode begins when somebody has put the object back. Its random motion comes through the nodes, too.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import format_options
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.schedule import EpisodeBatch
from mbrl_controller.rollouts.config import RolloutConfig
from mbrl_controller.simulation.sim_presets import node_parameters
from mbrl_controller.stack.launcher import StackConfig, run_stack
from mbrl_controller.stack.processes import ProcessGroup

if TYPE_CHECKING:  # it needs ROS
    from mbrl_controller.stack.monitor import StackMonitor

AGAIN = "_again"  # the underscore is in no behaviour's name
PATIENCE_S = 60.0  # beyond an episode's length, until the next one is logged
POLL_S = 0.1


def batch_folders(base: Path, batch: EpisodeBatch) -> list[Path]:
    """The folders below `base` that hold a batch's episodes; after an interruption there are several."""
    again = sorted(base.glob(f"{batch.name}{AGAIN}*"))
    return [folder for folder in (base / batch.name, *again) if folder.is_dir()]


def collect_through_ros(
    config: StackConfig,
    batch: EpisodeBatch,
    on_episode: Callable[[], None],
    should_stop: Callable[[], bool],
    on_note: Callable[[str], None] = lambda text: None,
) -> bool:
    """Log episodes of `batch` until it is complete.

    Episodes that were logged before count. The episode that runs at the end is kept, as far as it came.

    Args:
        config: the nodes, as `stack_config` makes them.
        batch: how many episodes.
        on_episode: called for each logged episode.
        should_stop: asked while waiting for the next one.
        on_note: told why a real hand's next episode does not come: for one, a person is waited for.

    Returns:
        False if `should_stop` ended it before.

    Raises:
        MbrlError: a process fails; nothing is logged (simulated hand), or no state is there (real one).
    """
    from mbrl_controller.stack.monitor import StackMonitor

    base = config.folder.parent
    seen = _logged(base, batch)
    for _ in range(min(seen, batch.episodes)):
        on_episode()
    if seen >= batch.episodes:
        return True
    patience = config.controller["episode_s"] + PATIENCE_S
    complete = False

    def overdue(reason: str) -> None:
        text = f"{batch.name}: no episode was logged for {patience:.0f} s: {reason or 'the controller says nothing'}"
        if not config.is_real:
            raise MbrlError(text)
        on_note(text)

    def control(group: ProcessGroup) -> None:
        nonlocal complete
        with StackMonitor(config.contract, lambda row: None) as monitor:
            _prepare(monitor, config, group)
            monitor.begin(group)
            why = functools.partial(_reason, monitor)
            complete = _wait(base, batch, seen, patience, group, on_episode, should_stop, lambda: overdue(why()))

    if not run_stack(config, control):
        raise KeyboardInterrupt
    return complete


def stack_config(
    plan: LearnPlan,
    batch: EpisodeBatch,
    *,
    contract: RobotContract,
    contract_file: Path,
    version: str,
    models_dir: Path,
    episodes_dir: Path,
) -> StackConfig:
    """The nodes with what the batch's RolloutConfig says, and the name of a new session.

    Args:
        plan: of the run.
        batch: to collect.
        contract: of the robot.
        contract_file: its file.
        version: that plans.
        models_dir: the registry that holds it.
        episodes_dir: the log folder.
    """
    rollout, is_real = batch.rollout, plan.hand == "real"
    begun = len(batch_folders(episodes_dir / plan.task, batch))
    controller = {
        "models_dir": str(models_dir),
        "precision": plan.precision,
        "episode_s": float(rollout.seconds or contract.task.episode_s),  # 0 would be without end
        "goal_options": format_options(rollout.goal_options),
        **(_random(rollout) if rollout.policy == "random" else _planned(plan, rollout)),
        **({"reset_service": plan.reset_service} if is_real else {}),
    }
    return StackConfig(
        contract_path=contract_file,
        contract=contract,
        version=version,
        session=f"{batch.name}{AGAIN}{begun:03d}" if begun else batch.name,
        log_dir=episodes_dir,
        seed=batch.seed,
        rate=1.0 / contract.action.period,
        controller=controller,
        sim=node_parameters(plan.sim, rollout.sim_options),
        is_real=is_real,
    )


def _random(rollout: RolloutConfig) -> dict[str, Any]:
    """The controller's parameters for random motion, which needs no model."""
    return {"planner.name": "random", "planner.exploration_range": float(rollout.random_scale)}


def _planned(plan: LearnPlan, rollout: RolloutConfig) -> dict[str, Any]:
    """The controller's parameters for a version that plans."""
    core = rollout.core
    assert core is not None  # a batch that plans has one
    return {
        "exploration_noise": float(rollout.exploration),
        # An early model is unsure everywhere; if the controller held still then, the run would learn nothing.
        "check_disagreement": False,
        "drop_cost": float(core.drop_cost),
        "max_goal_lead": float(core.max_goal_lead),
        "delay": core.delay,
        "delay_s": float(core.delay_s),
        "risk.kind": core.risk.kind,
        "risk.k": float(core.risk.k),
        "planner.name": plan.planner_name,
        # ROS has no type for an empty list, which is the planner's default anyway.
        **{f"planner.{option}": value for option, value in rollout.planner_options.items() if value != []},
    }


def _prepare(monitor: StackMonitor, config: StackConfig, group: ProcessGroup) -> None:
    try:
        monitor.prepare(group)
    except MbrlError as error:
        if not config.is_real:
            raise
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        raise MbrlError(f"{error}; the hand's own driver must run, in this ROS domain ({domain})") from error


def _reason(monitor: StackMonitor) -> str:
    """What the controller waits for."""
    values = monitor.reports.get("controller: control", {})
    return f"{values.get('safety state', '')}: {values.get('reason', '')}" if values else ""


def _wait(
    base: Path,
    batch: EpisodeBatch,
    seen: int,
    patience: float,
    group: ProcessGroup,
    on_episode: Callable[[], None],
    should_stop: Callable[[], bool],
    overdue: Callable[[], None],
) -> bool:
    """Wait until the batch is complete (True) or `should_stop` (False); `overdue` hears of each `patience` (s) without
    an episode."""
    last = time.monotonic()
    while seen < batch.episodes:
        group.check()
        if should_stop():
            return False
        if _logged(base, batch) > seen:
            seen, last = seen + 1, time.monotonic()
            on_episode()
        elif time.monotonic() - last > patience:
            overdue()
            last = time.monotonic()
        time.sleep(POLL_S)
    return True


def _logged(base: Path, batch: EpisodeBatch) -> int:
    return sum(len(list(folder.glob("*.mcap"))) for folder in batch_folders(base, batch))
