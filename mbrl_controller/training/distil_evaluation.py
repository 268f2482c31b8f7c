# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How a distilled policy does alone in simulation, and how right its value is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.files import write_atomically
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.training.distil_rounds import StoppedError, actor
from mbrl_controller.training.distil_run import DistilRun
from mbrl_controller.training.distil_work import FIRST_SEED
from mbrl_controller.training.model_returns import episode_returns

FIGURES_FILE = "figures.json"  # of a finished evaluation, in the run's folder
EVALUATION_SEED = 2 * FIRST_SEED


def evaluate_policy(run: DistilRun, policy: Path, value: Path | None) -> tuple[dict[str, float], dict[str, float]]:
    """How the policy does alone, in simulated episodes with the task's own goals; and how right the value is there."""
    plan, config = run.plan, run.plan.config
    if plan.no_world or not config.evaluate_episodes:
        return {}, {}
    kept = run.folder / FIGURES_FILE
    if kept.exists():
        found = json.loads(kept.read_text())
        return found["policy"], found["value"]
    from mbrl_controller.rollouts.evaluate import summarise  # needs MuJoCo, which a hand without a world does not
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


def _value_in_episodes(run: DistilRun, made: list[Any], value: OnnxValue) -> dict[str, float]:
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
