# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes through the nodes in real time, as on a real hand: sim, controller and logger as in the demo.

Random motion is collected without them, because no node moves a hand without a plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import format_options
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.schedule import EpisodeBatch
from mbrl_controller.stack.launcher import StackConfig, run_stack
from mbrl_controller.stack.processes import ProcessGroup

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
) -> bool:
    """Log episodes of `batch` until it is complete.

    Episodes that were logged before count. The episode that runs at the end is kept, as far as it came.

    Args:
        config: the nodes, as `stack_config` makes them.
        batch: how many episodes.
        on_episode: called for each logged episode.
        should_stop: asked while waiting for the next one.

    Returns:
        False if `should_stop` ended it before.

    Raises:
        MbrlError: a process fails, or nothing is logged.
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

    def control(group: ProcessGroup) -> None:
        nonlocal complete
        with StackMonitor(config.contract, lambda row: None) as monitor:
            monitor.prepare(group)
            monitor.begin(group)
            complete = _wait(base, batch, seen, patience, group, on_episode, should_stop)

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
    rollout, core = batch.rollout, batch.rollout.core
    assert core is not None  # a batch that plans has one
    begun = len(batch_folders(episodes_dir / plan.task, batch))
    controller = {
        "models_dir": str(models_dir),
        "precision": plan.precision,
        "episode_s": float(rollout.seconds or contract.task.episode_s),  # 0 would be without end
        "exploration_noise": float(rollout.exploration),
        "goal_options": format_options(rollout.goal_options),
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
    return StackConfig(
        contract_path=contract_file,
        contract=contract,
        version=version,
        session=f"{batch.name}{AGAIN}{begun:03d}" if begun else batch.name,
        log_dir=episodes_dir,
        seed=batch.seed,
        rate=1.0 / contract.action.period,
        controller=controller,
        sim={"preset": plan.sim, **{f"options.{option}": value for option, value in rollout.sim_options.items()}},
    )


def _wait(
    base: Path,
    batch: EpisodeBatch,
    seen: int,
    patience: float,
    group: ProcessGroup,
    on_episode: Callable[[], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Wait until the batch is complete (True) or `should_stop` (False)."""
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
