# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The 8-bit file beside a version's fp32 one: made, compared on validation data, and kept only if it plans alike.

8 bit is faster, so a tick has room for more candidates. The choice of the best candidates must not suffer, nor the
members' disagreement, on which risk and safety depend.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbrl_controller.base.cache_folder import cache_dir
from mbrl_controller.base.errors import DatasetError, ModelError
from mbrl_controller.base.resources import home_dir
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import PlannerDefaults, contract_for, planner_defaults, task_defaults
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.import_onnx import network_of
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.validation import JUDGED, evaluate, longest_horizon
from mbrl_controller.models.card import INT8_FILE, MODEL_FILE, Version
from mbrl_controller.models.disagreement import disagreement
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.origin import MIXABLE
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.sampling import SamplingPlanner
from mbrl_controller.tasks.spaces import Array
from mbrl_controller.training.acceptance import AcceptanceResult, int8_failed_checks
from mbrl_controller.training.dataset import episode_files, load_dataset
from mbrl_controller.training.ranking_agreement import rank_correlation, ranking_agreement

PLANNER = "pddm"  # the tasks' default
CALIBRATION_ROWS = 4096  # of the training data: all of its episodes have some, and it takes a second
STATES = 32  # of the validation data, to plan from


@dataclass(frozen=True)
class Quantised:
    """The version afterwards, and whether the episodes were those of its training."""

    version: Version
    acceptance: AcceptanceResult
    same_data: bool


def run(
    task: str,
    version: str = "current",
    *,
    episodes: list[Path] | None = None,
    models_dir: Path | None = None,
    contract: Path | None = None,
    processes: int = 1,
) -> Quantised:
    """Give a version of the registry its 8-bit file, or its card the reason why it has none.

    Args:
        task: of the version.
        version: its name, or "current".
        episodes: files and folders, best those of its training; None: all of this user's.
        models_dir: the registry; None: models/ below `home_dir()`.
        contract: of the robot; None: the task's.
        processes: that read the episodes, see `load_dataset`.

    Raises:
        MbrlError: nothing has changed then.
    """
    registry = Registry(models_dir)
    found = registry.own(task, version)
    card = found.card()
    found.require_model(card)
    model = found.read(found.model, card)
    robot = contract_for(task, contract)
    OnnxEnsemble.load(model, task=robot.task, action=robot.action)  # fails before all is read
    registry.check_writable(task)
    files = episode_files(episodes or [home_dir() / "episodes" / task])
    if not files:
        raise DatasetError("no episode files (*.mcap) to quantise with; name some: --episodes")
    mix = MIXABLE if any(origin.robot != robot.file.robot for origin in card.origins) else ("worlds",)
    data = load_dataset(files, robot, processes=processes, mix=mix, cache=cache_dir()).data
    data.require(episodes=2, what="data to calibrate on and to compare with")
    train, validation = data.split_by_episode(TrainConfig(**task_defaults(task).training).holdout_fraction)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / MODEL_FILE).write_bytes(model.content)
        acceptance = add_int8(folder, robot, planner_defaults(task, PLANNER), train, validation)
        file = folder / INT8_FILE if acceptance.passed else None
        found = registry.record_int8(task, found.name, file, acceptance.metrics, acceptance.failed_checks)
    return Quantised(found, acceptance, data.digest() == card.spec.data_digest)


def add_int8(
    folder: Path, contract: RobotContract, defaults: PlannerDefaults, data: TransitionSet, validation: TransitionSet
) -> AcceptanceResult:
    """Write `model.int8.onnx` beside the fp32 `model.onnx` in `folder`, if it plans alike.

    The 8-bit file has its own `disagreement_limit` and errors. If it fails, or quantises badly, or this processor
    cannot run it, the result says so and no file is left.

    Args:
        folder: holds `model.onnx`.
        contract: of the robot.
        defaults: how to plan for the comparison.
        data: calibrates the ranges of the 8-bit numbers.
        validation: the two files are compared on it.

    Raises:
        ModelError: the fp32 file is not of this package, or does not fit the contract.
        DatasetError: there are no rows.
    """
    data.require(what="data to calibrate on")
    validation.require(what="validation data")
    task, action = contract.task, contract.action
    file = ModelFile.read(folder / MODEL_FILE)
    reference = OnnxEnsemble.load(file, task=task, action=action)
    network = network_of(file, reference.spec)
    rows = _spread(len(data), CALIBRATION_ROWS)
    samples = data.state[rows], data.action[rows]
    aside = folder / f"{INT8_FILE}.part"
    try:
        spec = export_onnx(network, reference.spec, aside, precision="int8", samples=samples)
        other = OnnxEnsemble.load(aside, task=task, action=action)
        errors = evaluate(other.predict, validation, spec, longest_horizon(validation))
        metrics = compare(reference, other, contract, defaults, validation)
        metrics |= _errors(evaluate(reference.predict, validation, spec, longest_horizon(validation)), errors)
        metrics["disagreement_limit"] = errors["disagreement_limit"]
        failed = int8_failed_checks(metrics)
        metrics = _finite(metrics)  # a card holds no others
        if failed:
            return AcceptanceResult(failed, metrics)
        own = {"metrics": spec.metrics | _finite(errors), "disagreement_limit": errors["disagreement_limit"]}
        spec = spec.model_copy(update=own)
        export_onnx(network, spec, aside, precision="int8", samples=samples)
        os.replace(aside, folder / INT8_FILE)
        return AcceptanceResult("", metrics)
    except ModelError as error:
        return AcceptanceResult(str(error).removeprefix(f"{aside}: "))  # a card holds no path of this machine
    finally:
        aside.unlink(missing_ok=True)


def compare(
    reference: OnnxEnsemble,
    other: OnnxEnsemble,
    contract: RobotContract,
    defaults: PlannerDefaults,
    validation: TransitionSet,
) -> dict[str, float]:
    """How alike two models plan (see ranking_agreement), and how alike their disagreement is, on validation data.

    `disagreement_spearman`, `disagreement_pearson`: correlations over all rows; `disagreement_p999_ratio`: that of
    `other` to that of `reference`.
    """
    task, action, core = contract.task, contract.action, defaults.core
    rows = _spread(len(validation), STATES)
    planner = make_planner(PLANNER, len(action), defaults.planner_options)
    assert isinstance(planner, SamplingPlanner)  # so that it has candidates to rank
    metrics = ranking_agreement(
        reference,
        other,
        planner,
        task,
        action,
        core.risk,
        core.drop_cost,
        validation.state[rows],
        validation.action[rows],
        [task.sample_goal(np.random.default_rng(k)) for k in range(len(rows))],
    )
    one, two = (
        disagreement(model.predict(validation.state, validation.action).astype(float), model.delta_scale)
        for model in (reference, other)
    )
    tails = [float(np.quantile(values, 0.999)) for values in (one, two)]
    return metrics | {
        "disagreement_spearman": rank_correlation(one, two),
        "disagreement_pearson": _correlation(one, two),
        "disagreement_p999_ratio": _ratio(tails[1], tails[0]),
    }


def _errors(reference: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The validation errors of `other`, and their ratios to those of `reference`."""
    return {name: other[name] for name in JUDGED} | {
        f"{name}_ratio": _ratio(other[name], reference[name]) for name in JUDGED
    }


def _ratio(value: float, to: float) -> float:
    if to > 0:
        return value / to
    return 1.0 if value == to else np.inf


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}


def _correlation(one: Array, two: Array) -> float:
    """Pearson's; 1 where both are constant."""
    spreads = float(np.std(one)), float(np.std(two))
    if min(spreads) == 0.0:
        return 1.0 if max(spreads) == 0.0 else 0.0
    return float(np.corrcoef(one, two)[0, 1])


def _spread(rows: int, most: int) -> np.ndarray:
    """At most `most` row numbers, evenly spread."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(int))
