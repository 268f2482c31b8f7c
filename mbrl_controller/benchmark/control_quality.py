# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What planning is for: control. Episodes in lockstep, on the same seeds for all that is compared.

`quantised` sets the int8 file of a version beside its fp32 file, `samples` sets planners beside each other at more and
more candidates a tick. Neither depends on how fast the machine is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mbrl_controller.base.engine import PROCESSES
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.benchmark.settings import NO_TASK, Settings, Table, measurable_tasks
from mbrl_controller.benchmark.subprocess_run import reason
from mbrl_controller.control.task_config import contract_for, planner_defaults, task_defaults
from mbrl_controller.models.card import ServedPrecision
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.planning.sampling import SamplingConfig
from mbrl_controller.rollouts.comparison import paired, per_episode
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeTrajectory
from mbrl_controller.rollouts.evaluate import summarise
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.tasks.metrics import SHARED, specs_in

SEED = 5000  # the first; no other command starts there


@dataclass(frozen=True)
class Contestant:
    """A planner with its options; `as_released` adds those of the task. `iterations` share the candidates of a tick."""

    name: str
    planner: str
    options: dict[str, Any] = field(default_factory=dict)
    as_released: bool = False

    def settings(self, task: str, candidates: int) -> dict[str, Any]:
        """Planner options that spend `candidates` a tick on `task`."""
        released = task_defaults(task).benchmark.released if self.as_released else {}
        options = {**self.options, **released}
        whole = {**planner_defaults(task, self.planner).planner_options, **options}
        config = PLANNERS[self.planner].config_type(**whole)
        assert isinstance(config, SamplingConfig)  # of all contestants
        first = candidates / sum(config.population_decay**-i for i in range(config.iterations))
        return {**options, "num_samples": max(2, round(first))}


# PDDM's own settings are those of facts known of its release and its paper; the CEMs have the width of noise that the
# task's own planner has, for theirs was made for other hands.
CONTESTANTS = (
    Contestant("random shooting", "random_shooting"),
    Contestant("CEM", "cem", {"iterations": 3, "sigma": 0.5}),
    Contestant("iCEM", "icem", {"iterations": 3, "sigma": 0.5}),
    Contestant("PDDM as released", "pddm", {"sigma": 0.9, "beta": 0.6, "ess_fraction": 0.0, "noise": "filtered"},
               as_released=True),
    Contestant("ours: config/tasks.yaml", "pddm"),
)  # fmt: skip
LEARNED = (25, 50, 100, 200, 350, 700, 1400)
ORACLE = (25, 50, 100, 200)  # the simulator is no fast model


def quantised(settings: Settings) -> dict[str, Any]:
    """The part: for each task, the current version's fp32 and int8 files on the same seeds.

    Rows by file; `pairs` has the mean differences int8 - fp32 of single episodes, with 95 % bootstrap intervals.
    """
    rows, pairs, missing = [], [], {}
    files: tuple[ServedPrecision, ServedPrecision] = ("fp32", "int8")
    for task in measurable_tasks():
        episodes = 4 if settings.quick else task_defaults(task).benchmark.quantised_episodes
        try:
            version = Registry().resolve(task)
            version.path_for("int8")
            records = {p: run_episodes(RolloutConfig(task, precision=p), episodes, on=settings.on)[0] for p in files}
        except (MbrlError, ModuleNotFoundError) as error:
            missing[task] = reason(error)
            continue
        contract = contract_for(task)
        for precision, found in records.items():
            figures = summarise(found, contract)
            rows.append({"task": task, "version": version.name, "precision": precision, "episodes": episodes,
                         **chosen(figures)})  # fmt: skip
        fp32, int8 = (per_episode(records[p]) for p in files)
        pairs.append({"task": task, **paired(fp32, int8, files)})
    if not rows:
        raise MbrlError("; ".join(f"{task}: {why}" for task, why in missing.items()) or NO_TASK)
    return {"rows": rows, "pairs": pairs, "missing": missing}


def quantised_tables(figures: dict[str, Any]) -> list[Table]:
    """Titles and rows of the tables to print."""
    return [
        ("the same version in 32 and in 8 bit, same seeds", figures["rows"]),
        ("int8 less fp32, paired by seed", figures["pairs"]),
    ]


def samples(settings: Settings) -> dict[str, Any]:
    """The part: return against candidates a tick, by planner, with the learned model and with the simulator itself.

    With a JSON file asked for, finished rows are kept beside it and are not measured again: it may be interrupted.
    """
    keep = None if settings.json_file is None else settings.json_file.with_suffix(".samples.jsonl")
    done = _read(keep)
    rows, missing = [], {}
    for job in _jobs(settings.quick):
        key = {name: job[name] for name in ("task", "dynamics", "planner", "candidates", "episodes")}
        try:
            config = RolloutConfig(
                job["task"], dynamics=job["dynamics"], planner=job["with"], planner_options=job["options"],
                seconds=job["seconds"],
            )  # fmt: skip
            resolved = resolve(config)
            key["version"], key["options"] = resolved.version, resolved.spec.planner_options
            row = next((row for row in done if all(row.get(k) == v for k, v in key.items())), None)
            if row is None:
                measured = {**key, **_sample(config, job["episodes"], settings.on)}
                row = json.loads(json.dumps(measured))  # as it will be read again
                _append(keep, row)
        except (MbrlError, ModuleNotFoundError) as error:
            missing[f"{job['task']} {job['dynamics']}"] = reason(error)
            continue
        rows.append(row)
    if not rows:
        raise MbrlError("; ".join(f"{what}: {why}" for what, why in missing.items()) or NO_TASK)
    return {"rows": rows, "missing": missing, "equal_to_700": equal_to_700(rows)}


def _sample(config: RolloutConfig, episodes: int, on: str) -> dict[str, Any]:
    records, contract = run_episodes(config, episodes, SEED, on)
    figures = summarise(records, contract)
    others = ("return_mean_ci95", "kept_rate_ci95", "plan_ms_median")
    return {**chosen(figures), **{name: figures[name] for name in others}}


def chosen(figures: dict[str, Any]) -> dict[str, Any]:
    """Of an evaluation, what all tasks have and the medians of the task's own metrics."""
    keys = [*SHARED, *(metric.median_key for metric in specs_in(figures))]
    return {key: figures[key] for key in keys if key in figures}


def _jobs(quick: bool) -> Iterator[dict[str, Any]]:
    for dynamics in ("learned", "oracle"):
        for task in measurable_tasks():
            amount = task_defaults(task).benchmark
            counts = LEARNED if dynamics == "learned" else ORACLE
            for contestant in CONTESTANTS:
                for candidates in counts[1:4:2] if quick else counts:
                    yield {
                        "task": task,
                        "dynamics": dynamics,
                        "planner": contestant.name,
                        "with": contestant.planner,
                        "options": contestant.settings(task, candidates),
                        "candidates": candidates,
                        "episodes": 2
                        if quick
                        else amount.episodes
                        if dynamics == "learned"
                        else amount.oracle_episodes,
                        "seconds": 1.0 if quick else amount.oracle_seconds if dynamics == "oracle" else None,
                    }


def equal_to_700(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fewest candidates with which each planner's mean return reaches that of PDDM as released with 700 (or the
    most it was measured with)."""
    found = []
    for task, dynamics in dict.fromkeys((row["task"], row["dynamics"]) for row in rows):
        here = [row for row in rows if (row["task"], row["dynamics"]) == (task, dynamics)]
        reference = [row for row in here if row["planner"] == "PDDM as released" and row["candidates"] <= 700]
        if not reference:
            continue
        target = max(reference, key=lambda row: row["candidates"])
        for planner in dict.fromkeys(row["planner"] for row in here):
            enough = [row["candidates"] for row in here
                      if row["planner"] == planner and row["return_mean"] >= target["return_mean"]]  # fmt: skip
            found.append({
                "task": task, "dynamics": dynamics, "planner": planner,
                "return_of_PDDM": target["return_mean"], "with": target["candidates"],
                "reached_with": min(enough) if enough else "-",
            })  # fmt: skip
    return found


def samples_tables(figures: dict[str, Any]) -> list[Table]:
    """Titles and rows of the tables to print."""
    hidden = {"options", "version"}
    rows = [
        {k: v for k, v in row.items() if k not in hidden and (k == "plan_ms_median" or not k.endswith("_median"))}
        for row in figures["rows"]
    ]
    return [
        ("control against candidates a tick", rows),
        ("candidates that reach the mean return of PDDM as released", figures["equal_to_700"]),
    ]


def run_episodes(
    config: RolloutConfig, episodes: int, seed: int = SEED, on: str = PROCESSES
) -> tuple[list[EpisodeTrajectory], Any]:
    """Records of the seeds from `seed` on, and the contract.

    Args:
        config: who acts, and where.
        episodes: how many.
        seed: the first.
        on: what they run on, as in base/engine.py.
    """
    resolved = resolve(config)
    with EpisodePool(min(episodes, usable_cores()), on) as pool:
        return list(pool.run(resolved.spec, range(seed, seed + episodes))), resolved.contract


def _read(path: Path | None) -> list[dict[str, Any]]:
    if path is None or not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise MbrlError(f"{path}: cannot be read: {error}") from error


def _append(path: Path | None, row: dict[str, Any]) -> None:
    if path is None:
        return
    try:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise MbrlError(f"{path}: cannot be written: {error.strerror}") from error
