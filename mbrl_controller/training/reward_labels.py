# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From a log to labelled steps: by a topic that was logged, or by the task's own reward under goals drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import DatasetError, EpisodeError, MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.dynamics.head_data import RewardData
from mbrl_controller.dynamics.reward_config import RewardFitConfig
from mbrl_controller.episodes.reader import Episode, read_episode
from mbrl_controller.episodes.ros_messages import NANO
from mbrl_controller.episodes.transitions import UsedPeriods, used_periods
from mbrl_controller.models.heads import HeadMethod
from mbrl_controller.tasks.base import WaypointGoal
from mbrl_controller.tasks.spaces import Array
from mbrl_controller.training.demonstrations import goals_ahead
from mbrl_controller.training.log_stretches import EARLY

NO_LABELS = "no labels of the reward"


@dataclass(frozen=True)
class LabelledSteps:
    """Steps to learn a reward from, how they were labelled, and the episodes that were left out, with the reason."""

    data: RewardData
    method: HeadMethod
    drop_cost: float  # in the task's labels, a step
    unused_files: dict[str, str]


def label_method(contract: RobotContract, fit: RewardFitConfig) -> HeadMethod:
    """Where labels come from; raises MbrlError for a topic that the contract does not name."""
    named = contract.file.reward is not None
    if fit.labels == "topic" and not named:
        raise MbrlError(
            "reward_fit.labels=topic: the contract names no topic of labels: give it a `reward` (docs/dynamics.md), or "
            "set reward_fit.labels=task"
        )
    return "topic_labels" if named and fit.labels != "task" else "task_labels"


def read_labels(
    files: Sequence[Path],
    contract: RobotContract,
    fit: RewardFitConfig,
    *,
    drop_cost: float = 0.0,
    max_goal_lead: float = 0.0,
    seed: int = 0,
    mix: Collection[str] = (),
    on_file: Callable[[Path], None] = lambda path: None,
) -> LabelledSteps:
    """Read a log's steps with labels. Steps after the object was at risk count too: a reward must know what is lost.

    Args:
        files: episodes.
        contract: of the robot; its `reward` names the topic of labels.
        fit: where labels come from, and how many goals are drawn for a step.
        drop_cost: of a step into a state at risk, in the task's labels.
        max_goal_lead: as the controller's: drawn goals wait for the objects as they do when planned for, rad.
        seed: of drawn goals and of the choice of steps.
        mix: as in load_dataset.
        on_file: called with each file that was read.

    Raises:
        DatasetError: no step has a label, some episodes have none, or a label is not finite.
    """
    method = label_method(contract, fit)
    unused: dict[str, str] = {}
    parts: list[list[Array]] = []
    for number, path in enumerate(files):
        try:
            episode = read_episode(path, contract, any_robot="robots" in mix)
        except EpisodeError as error:
            unused[str(path)] = str(error)
            continue
        finally:
            on_file(path)
        used = used_periods(episode)
        if not len(used):
            unused[str(path)] = "no usable step"
        elif method == "topic_labels":
            made = _by_topic(episode, used, contract)
            if isinstance(made, str):
                unused[str(path)] = made
            else:
                parts.append([*made, np.full(len(made[0]), number)])
        else:
            rng = np.random.default_rng([seed, 31, number])
            made = _by_task(episode, used, contract, fit, drop_cost, max_goal_lead, rng)
            parts.append([*made, np.full(len(made[0]), number)])
    if not parts:
        why = next((f"; {path}: {reason}" for path, reason in unused.items()), "")
        raise DatasetError(f"{NO_LABELS} in {len(files)} episode files{why}{_remedy(method)}")
    lacking = [path for path, reason in unused.items() if reason.startswith(NO_LABELS)]
    if lacking and fit.unlabelled == "refuse":
        raise DatasetError(
            f"{len(lacking)} of {len(files)} episodes have {NO_LABELS}, the first {lacking[0]}; label them, give the "
            "others with --episodes, or leave them out of the reward with --set reward_fit.unlabelled=skip"
        )
    state, action, after, goal, target, of = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if len(target) > fit.max_rows:
        chosen = np.sort(np.random.default_rng([seed, 32]).choice(len(target), fit.max_rows, replace=False))
        state, action, after, goal, target, of = (v[chosen] for v in (state, action, after, goal, target, of))
    data = RewardData(state, goal[:, None], of, action, after, target)
    return LabelledSteps(data, method, drop_cost if method == "task_labels" else 0.0, unused)


def _remedy(method: HeadMethod) -> str:
    if method != "topic_labels":
        return ""
    return "; record some with the contract's `reward` topic, or use the task's: --set reward_fit.labels=task"


def _by_topic(episode: Episode, used: UsedPeriods, contract: RobotContract) -> tuple[Array, ...] | str:
    """Columns (state, action, next state, goal, label) of the labelled steps, or why there are none.

    A label is of the step that ended nearest to its receipt, half a period at most: who judges a state by what it
    measures tells it a little later.
    """
    if not len(episode.labels):
        return f"{NO_LABELS} on {contract.file.reward.topic if contract.file.reward else 'any topic'}"
    if not len(episode.goals):
        return "no goal was logged, under which its labels were given"
    if not np.isfinite(episode.labels.values).all():
        bad = int((~np.isfinite(episode.labels.values)).sum())
        raise DatasetError(f"{episode.path}: {bad} of its {len(episode.labels)} labels of the reward are not finite")
    stamps, period = episode.labels.stamps, contract.action.period
    right = np.clip(np.searchsorted(stamps, used.end), 1, max(len(stamps) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(stamps) - 1)
    at = np.where(np.abs(stamps[left] - used.end) < np.abs(stamps[right] - used.end), left, right)
    near = np.abs(stamps[at] - used.end) <= period * NANO / 2
    if not near.any():
        return f"{NO_LABELS} within half a control period of the end of a step"
    goals = _logged_goal(episode, used, period).at((used.end - used.zero) / NANO)
    target = episode.labels.values[at, 0]
    return used.state[near], used.action[near], used.next_state[near], goals[near], target[near]


def _by_task(
    episode: Episode,
    used: UsedPeriods,
    contract: RobotContract,
    fit: RewardFitConfig,
    drop_cost: float,
    lead: float,
    rng: np.random.Generator,
) -> tuple[Array, ...]:
    """Columns (state, action, next state, goal, label) of all steps, once for the logged goal and each that is drawn.

    Each step has goals of its own: with one goal along an episode the log would show no more goals than episodes.
    """
    task, period = contract.task, contract.action.period
    seen = []
    if len(episode.goals):
        seen.append(_logged_goal(episode, used, period).at((used.end - used.zero) / NANO))
    for _ in range(fit.goals if seen else max(fit.goals, 1)):
        begins = rng.uniform(0.0, task.episode_s, len(used))
        drawn = [
            goals_ahead(task, task.sample_goal(rng), state[None], period, 1, lead, begin)[0, 0]
            for state, begin in zip(used.state, begins, strict=True)
        ]
        seen.append(np.array(drawn))
    goals = np.concatenate(seen)
    state, action, after = (np.tile(v, (len(seen), 1)) for v in (used.state, used.action, used.next_state))
    label = task.reward(after, action, goals) - drop_cost * task.at_risk(after)
    return state, action, after, goals, label


def _logged_goal(episode: Episode, used: UsedPeriods, period: float) -> WaypointGoal:
    return WaypointGoal((episode.goals.stamps - used.zero) / NANO - EARLY * period, episode.goals.values)
