# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl benchmark delay`: control under latency, with and without replaying the commands in flight.

Episodes in lockstep on the same seeds, so how fast the machine is does not matter. Of each latency, sensing has its
share and the way of the command the rest; the controller measures the one by the stamps and is told the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base import machine
from mbrl_controller.base.engine import PROCESSES
from mbrl_controller.base.files import write_json
from mbrl_controller.benchmark.control_quality import chosen, run_episodes
from mbrl_controller.benchmark.settings import Table, measurable_tasks
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.control.config import ControllerConfig, DelayKind
from mbrl_controller.control.delay import SentCommands, commands_in_force, predict
from mbrl_controller.control.task_config import contract_for, planner_defaults
from mbrl_controller.rollouts.comparison import paired, per_episode
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeTrajectory
from mbrl_controller.rollouts.evaluate import summarise
from mbrl_controller.tasks.spaces import Array

LATENCIES = (0.0, 0.05, 0.1, 0.15)  # s
SENSING = 0.6  # its share of a latency
SEED = 6000  # the first; no other command starts there
ERROR_EPISODES = 4  # each of some forty steps: an error has far less spread than a return


def run(
    tasks: Sequence[str] | None = None,
    episodes: int = 24,
    json_file: Path | None = None,
    on_begin: Callable[[str], None] = lambda what: None,
    contract: Path | None = None,
    on: str = PROCESSES,
) -> dict[str, Any]:
    """Measure `tasks` (None: all that can be, or that of `contract`); returns the report, and writes it to `json_file`
    after each task. Raises MbrlError.

    `rows`: figures by task, latency and compensation; `pairs`: differences of episodes on the same seeds, with less
    without; `errors`: of the state that a plan begins from. `on`: what episodes run on, as in base/engine.py.
    """
    own = measurable_tasks() if contract is None else [load_contract(contract).task.name]
    chosen_tasks = own if tasks is None else tasks
    for task in chosen_tasks:
        contract_for(task, contract)  # an unknown task is refused before any is measured
    report: dict[str, Any] = {
        "machine": machine.describe(), "episodes": episodes, "seed": SEED, "rows": [], "pairs": [], "errors": [],
    }  # fmt: skip
    for task in chosen_tasks:
        for latency in LATENCIES:
            on_begin(f"{task}, {1e3 * latency:.0f} ms")
            kinds: tuple[DelayKind, ...] = ("none", "measured")
            found = {kind: run_episodes(under(task, latency, kind, contract), episodes, SEED, on) for kind in kinds}
            for kind, (records, robot) in found.items():
                figures = summarise(records, robot)
                row = {"task": task, "latency_ms": 1e3 * latency, "compensation": kind}
                row |= {key: figures[key] for name in chosen(figures) for key in (name, f"{name}_ci95")}
                report["rows"].append(row | {"drops": sum(record.metrics.dropped for record in records)})
            report["pairs"].append({
                "task": task, "latency_ms": 1e3 * latency,
                **paired(per_episode(found["none"][0]), per_episode(found["measured"][0]), ("without", "with")),
            })  # fmt: skip
            if latency:
                report["errors"].append(
                    {"task": task, "latency_ms": 1e3 * latency, **state_errors(task, latency, contract)}
                )
        if json_file is not None:
            write_json(json_file, report)
    return report


def under(task: str, latency: float, kind: DelayKind, contract: Path | None = None) -> RolloutConfig:
    """The task's own controller behind `latency` (s), which it compensates by `kind`; None: the task's contract."""
    sensing = SENSING * latency
    core = planner_defaults(task, "pddm").core
    return RolloutConfig(
        task,
        contract=contract,
        core=ControllerConfig(**core.model_dump() | {"delay": kind, "delay_s": latency - sensing}),
        sim_options={"observation_latency": sensing, "command_latency": latency - sensing},
    )


def state_errors(task: str, latency: float, contract: Path | None = None) -> dict[str, float]:
    """How far the state that a plan begins from is from the true one, where all of `latency` (s) is the sensors'.

    Root mean square over a state's entries, each in standard deviations of its change in one step; mean over all steps
    of some episodes. `as_measured` is the delayed state itself, `whole_periods` the replay with the delay rounded to
    control periods, `compensated` what the controller does.
    """
    core = planner_defaults(task, "pddm").core.model_copy(update={"delay": "none"})
    config = RolloutConfig(task, contract=contract, core=core, sim_options={"observation_latency": latency})
    runner = EpisodeRunner(resolve(config).spec)
    model, spec = runner.policy.core.model, runner.contract.task.state  # type: ignore[attr-defined]
    period = runner.contract.action.period
    whole = round(latency / period) * period
    errors: dict[str, list[float]] = {"as_measured": [], "whole_periods": [], "compensated": []}

    def add(name: str, state: Array, truth: Array) -> None:
        errors[name].append(float(np.sqrt(np.mean((spec.difference(state, truth) / model.delta_scale) ** 2))))

    for seed in range(SEED, SEED + ERROR_EPISODES):
        record = runner.run(seed)
        for step, now, sent in _steps(record, period):
            observed, truth = record.observed[step], record.states[step]
            delay = now - record.stamps[step]
            add("as_measured", observed, truth)
            for name, replayed in (("whole_periods", whole), ("compensated", delay)):
                replay = commands_in_force(sent, now, replayed, period)
                add(name, predict(model, spec, observed, replay), truth)
    return {name: float(np.mean(values)) for name, values in errors.items()}


def _steps(record: EpisodeTrajectory, period: float) -> Any:
    """(step, its time in s, what was sent before it), from the step on at which the start is no longer seen."""
    sent = SentCommands()
    for step, command in enumerate(record.commands):
        now = step * period
        if record.stamps[step] > 0:
            yield step, now, sent
        sent.add(now, command)


def tables(report: dict[str, Any]) -> list[Table]:
    """Titles and rows of the tables to print."""
    return [
        (f"control under latency, {report['episodes']} episodes each, 95 % intervals", report["rows"]),
        ("with less without compensation, paired by seed", report["pairs"]),
        ("error of the state that a plan begins from, in deviations of one step's change", report["errors"]),
    ]
