# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The reward of a retrain: labels, the fit, and what goes into the version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import task_defaults
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.head_trainer import FittedHead, train_head
from mbrl_controller.models.card import HEAD_FILES
from mbrl_controller.models.heads import HeadCard, HeadSpec
from mbrl_controller.training.retrain_plan import RetrainPlan, command_of
from mbrl_controller.training.reward_labels import LabelledSteps, read_labels

NAMES = {
    "reward_rmse": "error (rms) of the members' mean",
    "reward_std": "error of the labels' mean",
    "reward_correlation": "correlation",
    "member_std": "spread of the members",
}


def reward_spec(plan: RetrainPlan, contract: RobotContract) -> HeadSpec:
    """What is to be fitted; raises ModelError."""
    fit, robot = plan.train.reward_fit, contract.file.robot
    return HeadSpec.of("reward", contract.task, robot, contract.action, (1,), fit.hidden, members=fit.members)


def labels_of(
    plan: RetrainPlan, contract: RobotContract, on_file: Callable[[Path], None] = lambda path: None
) -> LabelledSteps:
    """The labelled steps of a plan's episodes; raises DatasetError."""
    fit, core = plan.train.reward_fit, task_defaults(plan.task).core
    return read_labels(
        [Path(file) for file in plan.files],
        contract,
        fit,
        drop_cost=core.drop_cost if fit.drop_cost is None else fit.drop_cost,
        max_goal_lead=core.max_goal_lead,
        seed=plan.train.seed,
        mix=plan.mix,
        on_file=on_file,
    )


def fit_reward(
    plan: RetrainPlan,
    contract: RobotContract,
    labels: LabelledSteps,
    should_stop: Callable[[], bool] = lambda: False,
    threads: int | None = None,
) -> FittedHead:
    """Fit the ensemble to the labels."""
    fit = plan.train.reward_fit
    config = HeadTrainConfig(
        seed=plan.train.seed, max_epochs=fit.max_epochs, holdout_fraction=plan.train.holdout_fraction
    )
    return train_head(
        labels.data,
        reward_spec(plan, contract),
        config,
        symmetries=tuple(contract.task.symmetries),
        should_stop=should_stop,
        threads=threads or 1,
    )


def add_reward(
    files: Path, plan: RetrainPlan, labels: LabelledSteps, fitted: FittedHead, version: str, created: str
) -> HeadCard:
    """Write the reward beside the model in `files`, and into its report; what the card says of it."""
    spec = fitted.network.spec.model_copy(update={"version": version, "created": created})
    file = export_head(fitted.network, files / HEAD_FILES["reward"], spec)
    figures = fitted.metrics | {"steps": float(len(labels.data)), "drop_cost": labels.drop_cost}
    figures["episodes"] = float(len(np.unique(labels.data.episode)))
    with (files / "report.md").open("a") as report:
        report.write(_section(labels, fitted.metrics))
    return HeadCard(
        sha256=file.sha256,
        kind=labels.method,
        command=command_of(plan),
        figures={name: value for name, value in figures.items() if np.isfinite(value)},
        created=created,
    )


def _section(labels: LabelledSteps, metrics: dict[str, float]) -> str:
    source = "the task's reward" if labels.method == "task_labels" else "the topic of the contract"
    rows = "".join(f"| {text} | {metrics[name]:.4g} |\n" for name, text in NAMES.items() if name in metrics)
    left_out = "".join(f"- {path}: {reason}\n" for path, reason in labels.unused_files.items())
    return (
        f"\n## Learned reward\n\nFrom {len(labels.data)} steps labelled by {source}. On episodes held out:\n\n"
        f"| figure | value |\n|---|---|\n{rows}" + (f"\nWithout labels, left out:\n\n{left_out}" if left_out else "")
    )
