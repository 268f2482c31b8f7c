# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Metrics of collected episodes, read from their files: the nodes may have logged them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.logged_metrics import LoggedEpisode, logged_metrics
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.tasks.metrics import figures
from mbrl_controller.training.dataset import episode_files


def read_metrics(path: Path, contract: RobotContract) -> LoggedEpisode:
    """Read an episode, logged by the logger or by `mbrl collect`; raises EpisodeError."""
    return logged_metrics(read_episode(path, contract))


def summarise_logged(folders: list[Path], contract: RobotContract) -> dict[str, Any]:
    """Metrics over the episodes below `folders`, as in a log row; `steps` is the number of their commands."""
    return _summary([read_metrics(path, contract) for path in episode_files(folders)], contract)


def evaluate_logged(collected: Sequence[tuple[float, list[Path]]], contract: RobotContract) -> dict[str, Any]:
    """Metrics as of `mbrl evaluate`: after a drop, each step that is left costs.

    Args:
        collected: for each kind of episodes their full length (s) and the folders that they are in.
        contract: of the robot.
    """
    found, returns = [], []
    for seconds, folders in collected:
        for logged in (read_metrics(path, contract) for path in episode_files(folders)):
            found.append(logged)
            if (metrics := logged.metrics) is not None:
                left = round(seconds / contract.action.period) - logged.steps
                cost = contract.task.drop_cost * max(left, 0) if metrics.dropped else 0.0
                returns.append(metrics.episode_return - cost)
    summary = _summary(found, contract)
    for name in ("steps", "dropped"):  # of the collecting
        summary.pop(name, None)
    return summary | ({"return_mean": float(np.mean(returns))} if returns else {})


def _summary(found: Sequence[LoggedEpisode], contract: RobotContract) -> dict[str, Any]:
    metrics = [f.metrics for f in found if f.metrics is not None]
    summary: dict[str, Any] = {"steps": sum(f.steps for f in found), "episodes": len(found)}
    if not metrics:
        return summary
    return summary | {
        "dropped": sum(m.dropped for m in metrics),
        "kept_rate": float(np.mean([not m.dropped for m in metrics])),
        "goal_rate": float(np.mean([m.goal_reached for m in metrics])),
        **figures(contract.task.metric_specs, metrics),
    }
