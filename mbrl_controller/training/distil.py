# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Distils the planner into a policy, and its returns into a value: a new version with the same model.

Round 0 labels states of the log, or lets the planner act in simulation where there is no log. In each further round the
policy learnt so far acts in simulation and the planner labels the states it gets into (DAgger: Ross, Gordon, Bagnell
2011); then the policy is learnt anew from all states. A run that was stopped or killed continues with `resume`, to the
same files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import mark_done, new_run, newest_unfinished, only_process
from mbrl_controller.models.card import HEAD_FILES, Version
from mbrl_controller.models.heads import HeadCard
from mbrl_controller.models.loading import load_ensemble
from mbrl_controller.models.new_heads import add_heads
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.tasks.spaces import Array
from mbrl_controller.training.callbacks import DistilCallback
from mbrl_controller.training.demonstrations import Demonstrations, join
from mbrl_controller.training.distil_networks import fit_policy, fit_value, held_out, policy_figures, value_figures
from mbrl_controller.training.distil_plan import (
    DistilInputs,
    DistilPlan,
    DistilRequest,
    check_plan,
    command_of,
    make_plan,
    read_plan,
)
from mbrl_controller.training.distil_report import write_report
from mbrl_controller.training.distil_rounds import StoppedError, actor, labelled_states
from mbrl_controller.training.distil_work import FIRST_SEED
from mbrl_controller.training.model_returns import episode_returns, model_returns

LOCK_FILE = ".distilling"
FIGURES_FILE = "figures.json"  # of a finished stage
EVALUATION_SEED = 2 * FIRST_SEED

Status = Literal["promoted", "added", "stopped"]


@dataclass(frozen=True)
class DistilResult:
    """How a run ended, and the figures of policy and value."""

    status: Status
    run_folder: Path
    version: Version | None
    policy: dict[str, float]
    value: dict[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Run:
    plan: DistilPlan
    inputs: DistilInputs
    folder: Path
    registry: Registry
    callback: DistilCallback
    should_stop: Callable[[], bool]
    processes: int

    def round_folder(self, number: int) -> Path:
        return self.folder / f"round-{number:02d}"


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
        this = _Run(plan, inputs, folder, registry, callback or DistilCallback(), should_stop, processes)
        try:
            result = _distil(this)
        except StoppedError:
            return DistilResult("stopped", folder, None, {}, {})
        mark_done(folder, result.status)
        return result


def _distil(run: _Run) -> DistilResult:
    plan, notes = run.plan, _notes(run.plan)
    for note in notes:
        run.callback.on_stage(note)
    policy: Path | None = None
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
    apart = held_out(whole, plan.config)
    figures = policy_figures(OnnxPolicy.load(policy), whole, apart) | {"states": float(len(whole))}
    if plan.config.value:
        targets = _targets(run, whole, policy)
        values = value_figures(OnnxValue.load(value), whole, targets, apart)
    judged, of_episodes = _evaluate(run, policy, value if plan.config.value else None)
    return _publish(run, policy, value, figures | judged, values | of_episodes, notes)


def _notes(plan: DistilPlan) -> tuple[str, ...]:
    notes = []
    if plan.no_world:
        rounds = f", so there are none of {plan.config.rounds} rounds" if plan.config.rounds else ""
        notes.append(f"{plan.no_world}: all states are those of the log{rounds}, and nobody judges the policy acting")
    elif not plan.files:
        notes.append("there is no log: the planner acts in simulation first")
    return tuple(notes)


def _fit_policy(run: _Run, data: Demonstrations, file: Path) -> None:
    if not fit_policy(data, run.plan, run.inputs, file, run.should_stop):
        raise StoppedError


def _fit_value(run: _Run, data: Demonstrations, policy: Path, file: Path) -> None:
    targets = _targets(run, data, policy)
    if not fit_value(data, targets, run.plan, run.inputs, file, run.should_stop):
        raise StoppedError


def _targets(run: _Run, data: Demonstrations, policy: Path) -> Array:
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


def _evaluate(run: _Run, policy: Path, value: Path | None) -> tuple[dict[str, float], dict[str, float]]:
    """How the policy does alone, in simulated episodes with the task's own goals; and how right the value is there."""
    plan, config = run.plan, run.plan.config
    if plan.no_world or not config.evaluate_episodes:
        return {}, {}
    kept = run.folder / FIGURES_FILE
    if kept.exists():
        found = json.loads(kept.read_text())
        return found["policy"], found["value"]
    from mbrl_controller.rollouts.evaluate import summarise
    from mbrl_controller.rollouts.pool import EpisodePool

    run.callback.on_stage(f"the policy acts in {config.evaluate_episodes} episodes")
    made = []
    with EpisodePool(min(run.processes, config.evaluate_episodes)) as pool:
        seeds = range(EVALUATION_SEED, EVALUATION_SEED + config.evaluate_episodes)
        for trajectory in pool.run(actor(plan, run.inputs, policy), seeds):
            made.append(trajectory)
            if run.should_stop():
                raise StoppedError
    summary = summarise(made, run.inputs.contract)
    timed = "plan_ms"  # of this machine, and not the same twice
    figures = {
        name: float(number)
        for name, number in summary.items()
        if isinstance(number, int | float) and not name.startswith(timed) and np.isfinite(number)
    }
    values = _value_in_episodes(run, made, OnnxValue.load(value)) if value else {}
    write_atomically(kept, json.dumps({"policy": figures, "value": values}).encode())
    return figures, values


def _value_in_episodes(run: _Run, made: list[Any], value: OnnxValue) -> dict[str, float]:
    """The value beside the returns of these episodes, for those of their states that enough steps follow."""
    config, task = run.plan.config, run.inputs.contract.task
    reach = value.spec.reach
    predicted, true = [], []
    for trajectory in made:
        returns = episode_returns(
            task,
            trajectory.states,
            trajectory.commands,
            trajectory.goals,
            steps=config.value_steps,
            discount=config.discount,
            drop_cost=run.inputs.teacher.core.drop_cost,
        )
        count = min(len(returns), len(trajectory.goals) - reach)
        for t in range(count):
            predicted.append(float(value.values(trajectory.states[t : t + 1], trajectory.goals[t + 1 :]).mean()))
        true += returns[: max(count, 0)].tolist()
    if len(true) < 2 or not np.std(true) or not np.std(predicted):
        return {}
    error = np.array(predicted) - true
    return {
        "episode_states": float(len(true)),
        "episode_rmse": float(np.sqrt((error**2).mean())),
        "episode_bias": float(error.mean()),
        "episode_std": float(np.std(true)),
        "episode_correlation": float(np.corrcoef(predicted, true)[0, 1]),
    }


def _publish(
    run: _Run, policy: Path, value: Path, figures: dict[str, float], values: dict[str, float], notes: tuple[str, ...]
) -> DistilResult:
    """Add the version, unless this run did so before it was killed, and promote it where asked."""
    plan, files = run.plan, run.folder / "version"
    version = None if plan.in_place else _added_before(run)
    if version is None:
        files.mkdir(exist_ok=True)
        heads: dict[Any, HeadCard] = {}
        given = [("policy", policy, "distilled", figures)]
        if plan.config.value:
            given.append(("value", value, "monte_carlo", values))
        for kind, file, method, numbers in given:
            write_atomically(files / file.name, file.read_bytes())
            heads[kind] = HeadCard(
                sha256=file_sha256(files / file.name),
                kind=method,  # type: ignore[arg-type]
                command=command_of(plan),
                figures={name: number for name, number in numbers.items() if np.isfinite(number)},
                parent=plan.version,
                created=plan.created,
            )
        write_report(files, plan, run.inputs, figures, values, notes)
        if plan.in_place:
            version = run.registry.record_heads(plan.task, plan.version, files, heads)
            return DistilResult("added", run.folder, version, figures, values, notes)
        version = add_heads(
            run.registry,
            plan.task,
            plan.version,
            files,
            heads,
            created=plan.created,
            command=command_of(plan),
            notes=plan.notes,
        )
    if plan.promote:
        run.registry.promote(plan.task, version.name)
    return DistilResult("promoted" if plan.promote else "added", run.folder, version, figures, values, notes)


def _added_before(run: _Run) -> Version | None:
    for version in run.registry.versions(run.plan.task):
        try:
            spec = version.card().spec
        except MbrlError:
            continue  # another one, damaged
        if not version.shipped and (spec.created, spec.parent) == (run.plan.created, run.plan.version):
            return version
    return None
