# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes in simulation, in lockstep and faster than real time, written as the logger would have written them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import EpisodeError, MbrlError
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.base.resources import home_dir
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.writer import PART
from mbrl_controller.rollouts.config import Who, prepare
from mbrl_controller.rollouts.episode import EpisodeRecord
from mbrl_controller.rollouts.pool import episode_pool

SESSION = re.compile(r"^[\w.-]+$")


@dataclass(frozen=True)
class Collected:
    """Where the episodes went."""

    folder: Path
    episodes: int
    transitions: int


def run(
    task: str,
    *,
    episodes: int = 30,
    seed: int = 0,
    episodes_dir: Path | None = None,
    session: str | None = None,
    processes: int | None = None,
    on_episode: Callable[[EpisodeRecord], None] = lambda record: None,
    **who: Any,
) -> Collected:
    """Collect episodes with the seeds `seed ... seed + episodes - 1` into `<episodes_dir>/<task>/<session>/`.

    An episode that the folder holds already is not run again, so an interrupted collection goes on where it was.
    `who`: fields of plans.Who. Raises MbrlError.
    """
    asked = Who(task, **who)
    session = session or f"{asked.policy}-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"
    if not SESSION.match(session):
        raise EpisodeError(f"session name {session!r}: use letters, digits, '_', '.', '-'")
    prepared = prepare(asked)
    folder = (episodes_dir or home_dir() / "episodes") / task / session
    numbers = {s: number for number, s in enumerate(range(seed, seed + episodes), start=1)}
    waiting = [s for s, number in numbers.items() if not _file(folder, number).exists()]
    transitions = 0
    if waiting:
        with episode_pool(prepared.plan, min(len(waiting), processes or usable_cores())) as run_all:
            for record in run_all(waiting):
                info = EpisodeInfo(
                    session=session,
                    episode=numbers[record.seed],
                    seed=record.seed,
                    model_version=prepared.version,
                    model_digest=prepared.digest,
                    extra={
                        "policy": asked.policy,
                        "exploration": str(asked.exploration),
                        "sim": asked.sim,
                        "precision": prepared.precision,
                    },
                )
                write_record(_file(folder, numbers[record.seed]), prepared.contract, info, record)
                transitions += len(record.commands)
                on_episode(record)
    return Collected(folder, episodes, transitions)


def write_record(path: Path, contract: RobotContract, info: EpisodeInfo, record: EpisodeRecord) -> Path:
    """Write one episode file; what a killed run left of it is replaced, since the seed gives it again."""
    path.with_name(path.name + PART).unlink(missing_ok=True)
    ticks = {
        "predicted_return": record.predicted_returns,
        "disagreement": record.disagreements,
        "execution_s": record.plan_s,
    }
    return write_trajectory(
        path,
        contract,
        info,
        states=record.observed,
        commands=record.commands,
        goals=record.goals,
        ticks=ticks,
        measured=record.stamps,
        reason="dropped" if record.metrics.dropped else "time-out",
    )


def _file(folder: Path, number: int) -> Path:
    if number > 9999:
        raise MbrlError("a session holds at most 9999 episodes")
    return folder / f"episode_{number:04d}.mcap"
