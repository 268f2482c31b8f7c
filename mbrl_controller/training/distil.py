# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Distils the planner into a policy, and its returns into a value: a new version with the same model.

Round 0 labels states of the log, or lets the planner act in simulation where there is no log. In each further round the
policy learnt so far acts in simulation and the planner labels the states it gets into (DAgger: Ross, Gordon, Bagnell
2011); then the policy is learnt anew from all states. A run that was stopped or killed continues with `resume`, to the
same files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import mark_done, new_run, newest_unfinished, only_process
from mbrl_controller.models.card import HEAD_FILES
from mbrl_controller.models.loading import load_ensemble
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.models.registry import Registry
from mbrl_controller.tasks.spaces import Array
from mbrl_controller.training.callbacks import DistilCallback
from mbrl_controller.training.demonstrations import Demonstrations, join
from mbrl_controller.training.distil_evaluation import evaluate_policy
from mbrl_controller.training.distil_networks import fit_policy, fit_value, held_out, policy_figures, value_figures
from mbrl_controller.training.distil_plan import (
    DistilPlan,
    DistilRequest,
    check_plan,
    make_plan,
    read_plan,
)
from mbrl_controller.training.distil_publish import DistilResult, publish
from mbrl_controller.training.distil_rounds import StoppedError, labelled_states
from mbrl_controller.training.distil_run import DistilRun
from mbrl_controller.training.model_returns import model_returns

LOCK_FILE = ".distilling"


def run(
    request: DistilRequest,
    should_stop: Callable[[], bool] = lambda: False,
    callback: DistilCallback | None = None,
    processes: int = 1,
) -> DistilResult:
    """Label, learn, judge, and add the version.

    Args:
        request: what to distil, and from what.
        should_stop: asked between parts and while training.
        callback: hears of the progress.
        processes: that label; more than one start Python anew, so a script that asks for them keeps its own work below
            `if __name__ == "__main__":`.

    Raises:
        MbrlError: the registry is unchanged.
    """
    registry = Registry(request.models_dir)
    base = (request.runs_dir or home_dir() / "runs") / "distil" / request.task
    with only_process(base / LOCK_FILE, f"another distillation of this task is running ({base})"):
        if request.resume:
            folder = newest_unfinished(base)
            plan = read_plan(folder)
            inputs = check_plan(plan, registry)
        else:
            plan = make_plan(request, registry)
            inputs = check_plan(plan, registry)
            folder = new_run(base, plan.model_dump_json(indent=2))
        this = DistilRun(plan, inputs, folder, registry, callback or DistilCallback(), should_stop, processes)
        try:
            result = _distil(this)
        except StoppedError:
            return DistilResult("stopped", folder, None, {}, {})
        mark_done(folder, result.status)
        return result


def _distil(run: DistilRun) -> DistilResult:
    plan, notes = run.plan, _notes(run.plan)
    for note in notes:
        run.callback.on_stage(note)
    policy = run.inputs.policy
    parts: list[Demonstrations] = []
    for number in range(plan.rounds + 1):
        folder = run.round_folder(number)
        how = (run.processes, run.should_stop, run.callback)
        parts.append(labelled_states(plan, run.inputs, number, folder, policy, *how))
        policy = folder / HEAD_FILES["policy"]
        if not policy.exists():
            run.callback.on_stage(f"round {number}: the policy learns from {sum(map(len, parts)):,} states")
            _fit_policy(run, join(parts), policy)
    assert policy is not None  # there is a round 0
    whole = join(parts)
    values: dict[str, float] = {}
    value = run.folder / HEAD_FILES["value"]
    if plan.config.value and not value.exists():
        run.callback.on_stage("the value learns from the policy's returns in the model")
        _fit_value(run, whole, policy, value)
    apart = held_out(whole.sequence, plan.config)
    figures = policy_figures(OnnxPolicy.load(policy), whole, apart) | {"states": float(len(whole))}
    if plan.config.value:
        targets = _targets(run, whole, policy)
        values = value_figures(OnnxValue.load(value), whole, targets, apart)
    judged, of_episodes = evaluate_policy(run, policy, value if plan.config.value else None)
    return publish(run, policy, value, figures | judged, values | of_episodes, notes)


def _notes(plan: DistilPlan) -> tuple[str, ...]:
    notes = []
    if plan.no_world:
        rounds = f", so there are none of {plan.config.rounds} rounds" if plan.config.rounds else ""
        notes.append(f"{plan.no_world}: all states are those of the log{rounds}, and nobody judges the policy acting")
    elif not plan.files:
        notes.append("there is no log: the planner acts in simulation first")
    return tuple(notes)


def _fit_policy(run: DistilRun, data: Demonstrations, file: Path) -> None:
    if not fit_policy(data, run.plan, run.inputs, file, run.should_stop):
        raise StoppedError


def _fit_value(run: DistilRun, data: Demonstrations, policy: Path, file: Path) -> None:
    targets = _targets(run, data, policy)
    if not fit_value(data, targets, run.plan, run.inputs, file, run.should_stop):
        raise StoppedError


def _targets(run: DistilRun, data: Demonstrations, policy: Path) -> Array:
    """Returns [N] of the policy in the model from the data's states; kept, because they take seconds to minutes."""
    kept = run.folder / "returns.npy"
    if kept.exists():
        known: Array = np.load(kept, allow_pickle=False)
        return known
    teacher, contract, config = run.inputs.teacher, run.inputs.contract, run.plan.config
    model = load_ensemble(teacher.model, task=contract.task, action=contract.action, threads=1)
    found = model_returns(
        model,
        OnnxPolicy.load(policy),
        contract.task,
        contract.action,
        data.state,
        data.goal,
        steps=config.value_steps,
        discount=config.discount,
        drop_cost=teacher.core.drop_cost,
        seed=config.seed,
    )
    part = kept.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, found)
    part.replace(kept)
    return found
