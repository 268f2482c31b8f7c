# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One cell of a grid: an arm at a seed. It learns in an ordinary run folder, then its version is judged episode by
episode. It may be killed at any moment, and run again: finished work is on the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.run_folder import DONE_FILE, PLAN_FILE, is_unfinished, mark_done, new_run
from mbrl_controller.contract.contract import RobotContract, copy_contract, parse_contract
from mbrl_controller.learning import run as learning
from mbrl_controller.learning.callbacks import LearnCallback
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.grid_plan import Source
from mbrl_controller.learning.rounds import StoppedError
from mbrl_controller.learning.schedule import judged_rollout
from mbrl_controller.models.registry import NO_FALLBACK_FILE
from mbrl_controller.rollouts.config import resolve
from mbrl_controller.rollouts.episode import EpisodeTrajectory
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.tasks.metrics import measured
from mbrl_controller.training import retrain
from mbrl_controller.training.retrain_plan import RetrainRequest

EPISODES_FILE = "episodes.jsonl"  # a line for each judged episode
STOP_FILE = "stop"  # in the grid's folder, while a person wants it to end
Values = dict[str, float]  # of one episode: its seed, its figures by name, network evaluations a plan


@dataclass(frozen=True)
class Cell:
    """Everything that decides a cell; plain data, so that any process can run it."""

    grid: Path  # the grid's folder
    name: str  # of the arm and its seed; unique in the grid
    plan: LearnPlan
    source: Source
    models_dir: Path | None  # registry of a source that is a version
    episodes: int  # to judge by
    first_seed: int
    judge: str = "last"
    hold: bool = False  # the baseline: nothing is learnt, and nothing moves
    learnt_as: str = ""  # name of the cell whose model it judges; empty: its own

    @property
    def folder(self) -> Path:
        """Where it judges."""
        return self.grid / "cells" / self.name

    @property
    def retrain_folder(self) -> Path:
        """Where it learns, if it learns from episodes."""
        return self.grid / "cells" / (self.learnt_as or self.name)

    @property
    def learn_folder(self) -> Path:
        """The folder of its learning run, if it learns from nothing."""
        return self.grid / "learn" / self.plan.task / (self.learnt_as or self.name)


def run_cell(
    cell: Cell, should_stop: Callable[[], bool] | None = None, callback: LearnCallback | None = None
) -> list[Values] | None:
    """Learn and judge.

    Args:
        cell: what to do.
        should_stop: asked between steps, epochs and episodes; None: whether the grid's stop file is there.
        callback: hears what the learning reports.

    Returns:
        The judged episodes, in the order of their seeds; None: stopped, and what is done is on the disk.

    Raises:
        MbrlError: something does not fit, or failed.
    """
    stop = should_stop or (cell.grid / STOP_FILE).exists
    _begin(cell)
    try:
        if not (cell.folder / DONE_FILE).exists():
            model, models_dir = learn_cell(cell, stop, callback or LearnCallback())
            _judge(cell, model, models_dir, stop)
            mark_done(cell.folder)
    except StoppedError:
        return None
    return judged(cell)


def _begin(cell: Cell) -> None:
    """Make its folder; raises MbrlError where the folder is of a cell with other options."""
    path, text = cell.folder / PLAN_FILE, cell.plan.model_dump_json(indent=2)
    if not path.exists():
        new_run(cell.folder.parent, text, cell.name)
    elif path.read_text() != text:
        raise MbrlError(
            f"{cell.folder}: was begun with other options, perhaps by another release: give a new --run NAME"
        )


def learn_cell(cell: Cell, stop: Callable[[], bool], callback: LearnCallback) -> tuple[str, Path | None]:
    """The version to judge, and its registry; raises StoppedError."""
    if cell.hold or cell.source.kind == "version":
        return cell.source.name, cell.models_dir
    if cell.source.kind == "episodes":
        return _retrain(cell, stop, callback)
    folder = cell.learn_folder
    if not (folder / PLAN_FILE).exists():
        new_run(folder.parent, cell.plan.model_dump_json(indent=2), folder.name)
    learned = learning.go_on(folder, processes=1, should_stop=stop, callback=callback)
    if not learned.finished:
        raise StoppedError
    last = next(row for row in reversed(learned.rows) if row.step == "evaluate")
    row = learned.best if cell.judge == "best" else last
    assert row is not None  # the last round is always evaluated
    return row.version, folder / "models"


def _retrain(cell: Cell, stop: Callable[[], bool], callback: LearnCallback) -> tuple[str, Path]:
    """A version of the given episodes, in a registry of its own."""
    models, runs = cell.retrain_folder / "models", cell.retrain_folder / "runs"
    models.mkdir(parents=True, exist_ok=True)
    (models / NO_FALLBACK_FILE).touch()
    base = runs / "retrain" / cell.plan.task
    finished = [folder for folder in base.glob("*") if (folder / DONE_FILE).exists()]
    if not finished:
        request = RetrainRequest(
            cell.plan.task,
            episodes=[Path(cell.source.name)],
            models_dir=models,
            contract=_contract_file(cell),
            force=True,  # an arm that is worse is a result
            resume=any(map(is_unfinished, base.glob("*"))),
            precision=cell.plan.precision,
            options=cell.plan.training.model_dump() | {"seed": cell.plan.seed},
            runs_dir=runs,
            threads=cell.plan.threads,
            mix=cell.plan.mix,
        )
        if retrain.run(request, stop, callback).status == "stopped":
            raise StoppedError
    return "current", models


def _judge(cell: Cell, model: str, models_dir: Path | None, stop: Callable[[], bool]) -> None:
    """Run the episodes that are not on the disk yet."""
    rollout = judged_rollout(cell.plan, model, models_dir, _contract_file(cell))
    resolved = resolve(replace(rollout, policy="hold" if cell.hold else "controller"))
    seeds = range(cell.first_seed, cell.first_seed + cell.episodes)
    done = {int(values["seed"]) for values in _read(cell.folder / EPISODES_FILE)}
    waiting = [seed for seed in seeds if seed not in done]
    with EpisodePool(1) as pool:
        for trajectory in pool.run(resolved.spec, waiting):
            _append(cell.folder / EPISODES_FILE, episode_values(trajectory, resolved.contract))
            if stop() and trajectory.seed != waiting[-1]:
                raise StoppedError


def episode_values(trajectory: EpisodeTrajectory, contract: RobotContract) -> Values:
    """What an episode counts for: figures of all tasks by the key of their mean, and the task's own metrics by name."""
    metrics = trajectory.metrics
    values: Values = {
        "seed": trajectory.seed,
        "return_mean": float(metrics.episode_return),
        "kept_rate": float(not metrics.dropped),
        "goal_rate": float(metrics.goal_reached),
    }
    for metric in measured(contract.task.metric_specs, [metrics]):
        if metric.name in metrics.values:
            value = float(metrics.values[metric.name])
            values[metric.name] = value
            for level in metric.levels:
                reached = bool(metric.reached(np.array([value]), level)[0])
                values[metric.level_key(level)] = float(reached and not metrics.dropped)
    if trajectory.network_evaluations is not None and trajectory.sources:
        values["network_evaluations"] = float(trajectory.network_evaluations.mean())
    return values


def judged(cell: Cell) -> list[Values]:
    """The episodes that are judged so far, in the order of their seeds."""
    return sorted(_read(cell.folder / EPISODES_FILE), key=lambda values: values["seed"])


def _contract_file(cell: Cell) -> Path:
    """The contract of its plan as a file."""
    contract = parse_contract(cell.plan.contract, "the grid's contract", cell.plan.contract_folder)
    return copy_contract(contract, cell.folder / "contract.yaml")


def _read(path: Path) -> Iterator[Values]:
    """Whole lines; a last one that a crash cut is left out, and its episode runs again."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise MbrlError(f"{path}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if line.endswith(b"\n"):
            try:
                yield _values(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise MbrlError(f"{path}: line {number} is damaged") from error


def _values(row: dict[str, Any]) -> Values:
    return {"seed": int(row["seed"])} | {name: float(value) for name, value in row.items() if name != "seed"}


def _append(path: Path, values: Values) -> None:
    """Add a line in place of one that a crash cut; it is on the disk when this returns."""
    with path.open("ab+") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(json.dumps(values).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
