# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Stretches of logged episodes, in which a planner is to say what it would do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import DatasetError, EpisodeError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.command_intervals import command_intervals
from mbrl_controller.episodes.reader import Episode, read_episode
from mbrl_controller.episodes.ros_messages import NANO
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.models.origin import Origin, check_one_world, count_origins
from mbrl_controller.tasks.base import WaypointGoal
from mbrl_controller.tasks.spaces import Array
from mbrl_controller.training.dataset import until_lost

SPARE = 2  # times as many states are read as are wanted, so that they are of many episodes
EARLY = 0.25  # of a period, by which a logged goal counts before its stamp: stamps of ticks jitter


@dataclass(frozen=True)
class Stretch:
    """States in a row, one a control period."""

    states: Array  # [T, S]
    commands: Array  # [T, A] rad
    begin: float  # s since the episode began, of the first state
    goal: WaypointGoal | None  # as it was logged; None: it was not


@dataclass(frozen=True)
class LogSample:
    """Stretches chosen from a log, where they are from, and the files that cannot be used with the reason."""

    stretches: list[Stretch]
    origins: tuple[Origin, ...]
    unused_files: dict[str, str]


def sample_log(
    files: Sequence[Path],
    contract: RobotContract,
    states: int,
    length: int,
    seed: int,
    mix: Collection[str] = (),
    on_file: Callable[[Path], None] = lambda path: None,
) -> LogSample:
    """Choose about `states` states of a log, in stretches of at most `length`, and read no more than needed.

    Args:
        files: episodes.
        contract: of the robot.
        states: how many; fewer where the log has fewer.
        length: states of a stretch.
        seed: of the choice.
        mix: as in load_dataset.
        on_file: called with each file that was read.

    Raises:
        DatasetError: no state is usable, or the episodes are of several worlds.
    """
    rng = np.random.default_rng([seed, 11])
    found: list[Stretch] = []
    origins: list[tuple[str, str]] = []
    unused: dict[str, str] = {}
    count = 0
    for number in rng.permutation(len(files)):
        path = files[number]
        try:
            episode = read_episode(path, contract, any_robot="robots" in mix)
        except EpisodeError as error:
            unused[str(path)] = str(error)
            continue
        finally:
            on_file(path)
        own = list(_stretches(episode, contract, length))
        if not own:
            unused[str(path)] = "no usable state"
            continue
        found += own
        origins.append((episode.info.robot, episode.info.world))
        count += sum(len(stretch.states) for stretch in own)
        if count >= SPARE * states:
            break
    if not found:
        why = next((f" ({reason})" for reason in unused.values()), "")
        raise DatasetError(f"no usable state in {len(files)} episode files{why}")
    check_one_world(count_origins(origins), mix)
    chosen: list[Stretch] = []
    for number in rng.permutation(len(found)):
        if states <= 0:
            break
        chosen.append(found[number])
        states -= len(found[number].states)
    return LogSample(chosen, count_origins(origins), unused)


def _stretches(episode: Episode, contract: RobotContract, length: int) -> Iterator[Stretch]:
    """The usable states of an episode, cut into stretches."""
    rows = until_lost(transitions(episode), contract)
    if not len(rows):
        return
    period = contract.action.period
    zero = command_intervals(episode.commands.stamps, episode.begin_ns, episode.end_ns, period * NANO).zero
    goal = None
    if len(episode.goals):
        goal = WaypointGoal((episode.goals.stamps - zero) / NANO - EARLY * period, episode.goals.values)
    gaps = np.flatnonzero(np.diff(rows.step) != 1) + 1
    for run in np.split(np.arange(len(rows)), gaps):
        for at in range(0, len(run), length):
            part = run[at : at + length]
            yield Stretch(rows.state[part], rows.action[part], float(rows.step[part[0]]) * period, goal)
