# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From labelled states to the files of policy and value, and how far these are from what they learnt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_data import HeadData, PolicyData, ValueData, hold_out
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.head_trainer import train_head
from mbrl_controller.models.heads import HeadKind, HeadSpec, PolicyHead, ValueHead
from mbrl_controller.tasks.spaces import Array, Mask
from mbrl_controller.training.demonstrations import Demonstrations
from mbrl_controller.training.distil_config import DistilConfig
from mbrl_controller.training.distil_plan import DistilInputs, DistilPlan

VALUE_MEMBERS = 3


def held_out(sequence: NDArray[np.int64], config: DistilConfig) -> Mask:
    """Which states [T] are kept for validation: whole ones of `sequence` [T]; all of them where there is but one."""
    apart = hold_out(sequence, config.holdout_fraction, config.seed)
    return apart if apart.any() else ~apart


def fit_policy(
    data: Demonstrations, plan: DistilPlan, inputs: DistilInputs, file: Path, should_stop: Callable[[], bool]
) -> bool:
    """Train a policy on all states and write its `file`; False: it was stopped before. Raises DatasetError."""
    config = plan.config
    spec = _spec("policy", config.policy_hidden, plan, inputs, horizon=inputs.horizon)
    seen = np.asarray(spec.seen(data.goal))
    plans, weights = data.plan[:, : inputs.horizon], np.ones(len(data), np.float32)
    examples = PolicyData(data.state, seen, data.sequence, plans, weights)
    return _train(examples, spec, plan, inputs, file, should_stop)


def fit_value(
    data: Demonstrations,
    targets: Array,
    plan: DistilPlan,
    inputs: DistilInputs,
    file: Path,
    should_stop: Callable[[], bool],
) -> bool:
    """Train a value on the returns `targets` [T] and write its `file`; False: it was stopped before."""
    config = plan.config
    spec = _spec("value", config.value_hidden, plan, inputs, members=VALUE_MEMBERS, discount=config.discount)
    examples = ValueData(data.state, np.asarray(spec.seen(data.goal)), data.sequence, targets)
    return _train(examples, spec, plan, inputs, file, should_stop, huber=config.value_huber)


def _spec(kind: HeadKind, hidden: tuple[int, ...], plan: DistilPlan, inputs: DistilInputs, **more: Any) -> HeadSpec:
    contract = inputs.contract
    robot, created = contract.file.robot, {"created": plan.created}
    return HeadSpec.of(kind, contract.task, robot, contract.action, inputs.goal_steps, hidden, **more, **created)


def _train(
    examples: HeadData,
    spec: HeadSpec,
    plan: DistilPlan,
    inputs: DistilInputs,
    file: Path,
    should_stop: Callable[[], bool],
    huber: float | None = None,
) -> bool:
    config = plan.config
    fitted = train_head(
        examples,
        spec,
        HeadTrainConfig(seed=config.seed, huber=huber),
        held_out=held_out(examples.episode, config),
        symmetries=inputs.contract.task.symmetries,
        should_stop=should_stop,
        threads=config.threads,
    )
    if not fitted.stopped:
        export_head(fitted.network, file)
    return not fitted.stopped


def policy_figures(policy: PolicyHead, data: Demonstrations, apart: Mask) -> dict[str, float]:
    """Errors of normalised actions on the states `apart` [T]: of the first, and of whole plans.

    `explained`: the share of the first actions' variance that the policy explains; 0 is what their mean would reach.
    """
    plans, learnt = data.plan[apart][:, : policy.spec.horizon], data.plan[~apart] if not apart.all() else data.plan
    error = policy.plans(data.state[apart], data.goal[apart]) - plans
    spread = plans[:, 0] - learnt[:, 0].mean(0)
    return {
        "action_rmse": _rms(error[:, 0]),
        "plan_rmse": _rms(error),
        "action_std": _rms(spread),
        "explained": float(1.0 - (error[:, 0] ** 2).mean() / max(float((spread**2).mean()), 1e-12)),
    }


def value_figures(value: ValueHead, data: Demonstrations, targets: Array, apart: Mask) -> dict[str, float]:
    """Error, spread and correlation of the value on the states `apart` [T], in units of reward."""
    predicted, true = value.values(data.state[apart], data.goal[apart]).mean(0), targets[apart]
    figures = {"rmse": _rms(predicted - true), "std": float(np.std(true))}
    if np.std(predicted) and np.std(true):
        figures["correlation"] = float(np.corrcoef(predicted, true)[0, 1])
    return figures


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=float))))
