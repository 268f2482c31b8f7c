# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl study gradients`: do the gradients of learned models point where the simulator's do, and does it matter?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark.gradient_estimates import ESTIMATES, backpropagated, cosine
from mbrl_controller.benchmark.gradient_situations import Situation, situations
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for, planner_defaults
from mbrl_controller.models.loading import LoadedModel, load_model
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.gradients import gradients_of
from mbrl_controller.planning.risk import Risk
from mbrl_controller.planning.terminal_value import PessimisticValue
from mbrl_controller.rollouts import evaluate
from mbrl_controller.rollouts.config import RolloutConfig
from mbrl_controller.rollouts.statistics import bootstrap
from mbrl_controller.tasks.spaces import Array

REPEATS = 8  # of each estimate, whose spread is its variance
FIRST_SEED = 400_000  # of the episodes that judge control


@dataclass(frozen=True)
class StudyRequest:
    """What is compared."""

    task: str
    versions: tuple[str, ...] = ("current",)
    states: int = 20
    horizons: tuple[int, ...] = (1, 3, 5, 7)
    samples: int = 64  # of the model, for each estimate
    episodes: int = 0  # that judge control by each version; 0: none
    contract: Path | None = None
    models_dir: Path | None = None


def run(request: StudyRequest, on_stage: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """The figures.

    `agreement`: for each version and horizon the cosine between the model's gradient and the simulator's, and the ratio
    of their sizes, means over states with 95 % intervals. `estimates`: for each version, at the longest horizon, the
    cosine, bias and deviation of each way to estimate a direction from `samples` model samples. `versions`: one-step
    error, agreement and return of each; `by_state`: each state's cosines.

    Raises:
        MbrlError: something does not exist or fit.
    """
    if not request.versions or not request.horizons or request.states < 2:
        raise MbrlError("a study needs a version, a horizon and two states at least")
    contract = contract_for(request.task, request.contract)
    core = planner_defaults(request.task, "pddm").core
    core = core.model_copy(update={"risk": Risk(kind="mean")})  # the simulator has one member
    models = {name: _loaded(contract, name, request.models_dir) for name in request.versions}
    horizons = sorted(set(request.horizons))
    rows: list[dict[str, Any]] = []
    estimates: list[dict[str, Any]] = []
    for number, situation in enumerate(situations(contract, core, request.states, horizons[-1])):
        on_stage(f"state {number + 1} of {request.states}")
        slopes = {horizon: situation.slope(horizon) for horizon in horizons}
        for name, model in models.items():
            error = _one_step_error(situation, model)
            for horizon, slope in slopes.items():
                rows.append({"version": name, "state": number, "horizon": horizon, "error": error}
                            | _compared(situation, model, horizon, slope))  # fmt: skip
            for row in _estimated(situation, model, slopes[horizons[-1]], request.samples, number):
                estimates.append({"version": name, "state": number, **row})
    versions = []
    for name in request.versions:
        mine = [row for row in rows if row["version"] == name and row["horizon"] == horizons[-1]]
        found = {"version": name, **_mean("one_step_error", [row["error"] for row in mine])}
        found |= _mean("cosine", [row["cosine"] for row in mine])
        if request.episodes:
            on_stage(f"{request.episodes} episodes with {name}")
            found |= _control(request, name)
        versions.append(found)
    return {
        "task": request.task,
        "states": request.states,
        "samples": request.samples,
        "episodes": request.episodes,
        "agreement": _summary(rows, ("version", "horizon"), ("cosine", "ratio")),
        "estimates": _summary(estimates, ("version", "estimate"), ("cosine", "bias", "deviation")),
        "versions": versions,
        "predicts_control": _predictors(versions),
        "by_state": [{k: row[k] for k in ("version", "state", "horizon", "cosine", "ratio")} for row in rows],
    }


def _loaded(contract: RobotContract, name: str, models_dir: Path | None) -> LoadedModel:
    version = Registry(models_dir).resolve(contract.task.name, name, contract.file.robot)
    return load_model(version, "fp32", task=contract.task, action=contract.action, gradients=True)


def _one_step_error(situation: Situation, model: LoadedModel) -> float:
    """Root mean square error of the members' mean after the plan's first step, in standard deviations of a step."""
    targets = situation.contract.action.to_target(situation.plan[None, :1])
    true = situation.oracle.rollout(None, targets)[0, 0, 0]
    predicted = model.rollout(situation.state, targets)[:, 0, 0].mean(0)
    difference = situation.contract.task.state.difference(predicted, true) / np.asarray(model.ensemble.delta_scale)
    return float(np.sqrt(np.mean(difference**2)))


def _compared(situation: Situation, model: LoadedModel, horizon: int, slope: Array) -> dict[str, float]:
    _, gradients = gradients_of(situation.objective(model, horizon), situation.plan[None, :horizon].astype(np.float32))
    size = float(np.linalg.norm(slope))
    ratio = float(np.linalg.norm(gradients[0])) / size if size > 0 else float("nan")
    return {"cosine": cosine(gradients[0], slope), "ratio": ratio}


def _estimated(situation: Situation, model: LoadedModel, slope: Array, samples: int, seed: int) -> list[dict[str, Any]]:
    """Each estimate against the simulator's slope [H, A]; a version's value stands in for all but the first step."""
    found = []
    objective = situation.objective(model, len(slope))
    for name, estimate in ESTIMATES.items():
        drawn = [estimate(objective, situation.plan, samples, np.random.default_rng([seed, k])) for k in range(REPEATS)]
        found.append({"estimate": name, **_spread(np.array(drawn), slope, sized=name != "soft-weighted")})
    if model.value is not None:
        head = PessimisticValue(model.value, situation.goals[1:], 0.0)
        short = situation.objective(model, 1, head)
        drawn = [backpropagated(short, situation.plan[:1], samples, np.random.default_rng([seed, k]))
                 for k in range(REPEATS)]  # fmt: skip
        found.append({"estimate": "value, first action", **_spread(np.array(drawn), slope[:1], sized=True)})
    return found


def _spread(drawn: Array, slope: Array, sized: bool) -> dict[str, float]:
    """Mean cosine of single estimates [K, H, A]; bias and deviation in sizes of the slope."""
    size = float(np.linalg.norm(slope))
    if not size > 0:
        return {}
    unit = drawn if sized else drawn * (size / max(float(np.linalg.norm(drawn.mean(0))), 1e-12))
    return {
        "cosine": float(np.mean([cosine(one, slope) for one in drawn])),
        "bias": float(np.linalg.norm(unit.mean(0) - slope)) / size,
        "deviation": float(np.sqrt(((unit - unit.mean(0)) ** 2).sum((1, 2)).mean())) / size,
    }


def _control(request: StudyRequest, name: str) -> dict[str, Any]:
    config = RolloutConfig(
        request.task, model=name, precision="fp32", models_dir=request.models_dir, contract=request.contract
    )
    report = evaluate.run(config, episodes=request.episodes, seed=FIRST_SEED, processes=1)
    return {"return_mean": report["return_mean"], "return_mean_ci95": report["return_mean_ci95"]}


def _summary(rows: Sequence[dict[str, Any]], keys: tuple[str, ...], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """A row for each value of the keys, in the order in which they occur."""
    found = []
    for values in dict.fromkeys(tuple(row[key] for key in keys) for row in rows):
        mine = [row for row in rows if tuple(row[key] for key in keys) == values]
        row: dict[str, Any] = dict(zip(keys, values, strict=True))
        for name in names:
            row |= _mean(name, [each.get(name, np.nan) for each in mine])
        found.append(row)
    return found


def _mean(name: str, values: Sequence[float]) -> dict[str, Any]:
    """Mean over the states in which there is a value, with its interval and their number."""
    known = np.array([value for value in values if np.isfinite(value)])
    mean = float(known.mean()) if len(known) else float("nan")
    return {name: mean, f"{name}_ci95": bootstrap(known, np.mean), f"{name}_n": len(known)}


def _predictors(versions: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """Rank correlations with the mean return over versions; None for fewer than three, or without episodes."""
    if len(versions) < 3 or "return_mean" not in versions[0]:
        return None
    returns = _ranks([row["return_mean"] for row in versions])
    return {
        name: float(sign * np.corrcoef(_ranks([row[name] for row in versions]), returns)[0, 1])
        for name, sign in (("cosine", 1), ("one_step_error", -1))
    }


def _ranks(values: Sequence[float]) -> Array:
    return np.argsort(np.argsort(values)).astype(float)
