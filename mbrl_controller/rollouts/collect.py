# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes in simulation, faster than real time, written in the format of the logger."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from mbrl_controller.base.engine import PROCESSES
from mbrl_controller.base.errors import EpisodeError, MbrlError
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import new_folder
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.writer import PART
from mbrl_controller.models.head_loading import HeadFiles
from mbrl_controller.rollouts.config import ResolvedRollout, RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeTrajectory
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.simulation.sim_options import differing

SESSION = re.compile(r"^[\w.-]+$")


@dataclass(frozen=True)
class Collected:
    """Where the episodes went."""

    folder: Path
    episodes: int
    transitions: int


def run(
    config: RolloutConfig,
    *,
    episodes: int = 30,
    seed: int = 0,
    episodes_dir: Path | None = None,
    session: str | None = None,
    pool: EpisodePool | None = None,
    processes: int | None = None,
    on: str = PROCESSES,
    on_episode: Callable[[EpisodeTrajectory], None] = lambda episode: None,
) -> Collected:
    """Collect episodes into `<episodes_dir>/<task>/<session>/`.

    An episode that the folder already holds is not run again, so an interrupted collection continues.

    Args:
        config: policy, model, simulated hand and goals.
        episodes: how many the session has.
        seed: the first; the others count up from it.
        episodes_dir: the log folder; None: episodes/ below `home_dir()`.
        session: name of the folder; None: policy and time (UTC).
        pool: runs the episodes; None: a pool of `processes`.
        processes: None: one for each core, and no more than episodes.
        on: what they run on, as in base/engine.py.
        on_episode: called when an episode has been written.

    Raises:
        MbrlError: something does not exist or fit.
    """
    if session and not SESSION.match(session):
        raise EpisodeError(f"session name {session!r}: use letters, digits, '_', '.', '-'")
    resolved = resolve(config)
    if resolved.spec.core.feedback:
        raise MbrlError(
            "feedback changes commands between the steps that an episode records, which a model must not learn from: "
            "collect with feedback=false"
        )
    sessions = (episodes_dir or home_dir() / "episodes") / config.task
    folder = sessions / session if session else new_folder(sessions, f"{config.policy}-")
    numbers = {s: number for number, s in enumerate(range(seed, seed + episodes), start=1)}
    waiting = [s for s, number in numbers.items() if not _file(folder, number).exists()]
    transitions = 0
    if waiting:
        own = EpisodePool(min(len(waiting), processes or usable_cores()), on) if pool is None else nullcontext(pool)
        with own as workers:
            for trajectory in workers.run(resolved.spec, waiting):
                number = numbers[trajectory.seed]
                info = _info(config, resolved, folder.name, number, trajectory.seed)
                write_episode(_file(folder, number), resolved.contract, info, trajectory)
                transitions += len(trajectory.commands)
                on_episode(trajectory)
    return Collected(folder, episodes, transitions)


def _info(config: RolloutConfig, resolved: ResolvedRollout, session: str, number: int, seed: int) -> EpisodeInfo:
    return EpisodeInfo(
        session=session,
        episode=number,
        seed=seed,
        model_version=resolved.version,
        model_digest=resolved.digest,
        world=resolved.world,
        extra={
            "policy": config.policy,
            "exploration": str(config.exploration),
            "sim": config.sim,
            "sim_options": json.dumps(differing(resolved.spec.sim)),
            "precision": resolved.precision,
            **_heads(resolved),
        },
    )


def _heads(resolved: ResolvedRollout) -> dict[str, str]:
    """Digests of the version's heads, which act or may have had a say."""
    heads = resolved.spec.heads
    named = {kind: getattr(heads, kind) for kind in HeadFiles.model_fields}
    return {f"{kind}_sha256": head.sha256 for kind, head in named.items() if head is not None}


def write_episode(path: Path, contract: RobotContract, info: EpisodeInfo, trajectory: EpisodeTrajectory) -> Path:
    """Write one episode file. It replaces what a killed run left, because the seed gives the same episode again."""
    path.with_name(path.name + PART).unlink(missing_ok=True)
    ticks = {
        "predicted_return": trajectory.predicted_returns,
        "disagreement": trajectory.disagreements,
        "execution_s": trajectory.plan_s,
    }
    return write_trajectory(
        path,
        contract,
        info,
        states=trajectory.observed,
        commands=trajectory.commands,
        goals=trajectory.goals,
        ticks=ticks,
        measured=trajectory.stamps,
        measurements=trajectory.measurements,
        reason="drop" if trajectory.metrics.dropped else "timeout",
    )


def _file(folder: Path, number: int) -> Path:
    if number > 9999:
        raise MbrlError("a session holds at most 9999 episodes")
    return folder / f"episode_{number:04d}.mcap"
