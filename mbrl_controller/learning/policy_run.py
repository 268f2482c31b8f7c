# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl policy`: model-free learning of a policy, in a learned model or in the simulated world, to a policy file.

Everything happens in a run folder, whose log is that of `mbrl learn`, so that `mbrl learn-curve` draws both. A run that
was stopped or killed continues from its checkpoint, to the result it would have had.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import DONE_FILE, mark_done, new_run, newest_unfinished, only_process
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.learning.log import LOG_FILE, Row, RunLog, StepKind
from mbrl_controller.learning.policy_plan import PolicyPlan, PolicyRequest, make_plan, read_plan
from mbrl_controller.learning.policy_sources import ModelSource, SimSource, judge
from mbrl_controller.learning.policy_version import add_version
from mbrl_controller.models.card import Version

LOCK_FILE = ".learning-policy"
CHECKPOINT = "checkpoint.npz"


class _StopError(Exception):
    """Ctrl-C, after the checkpoint."""


@dataclass(frozen=True)
class PolicyCallback:
    """What hears of a run's progress."""

    on_stage: Callable[[str], None] = lambda text: None
    on_progress: Callable[[int, int], None] = lambda done, amount: None
    on_row: Callable[[Row], None] = lambda row: None


@dataclass(frozen=True)
class PolicyResult:
    """How a run ended; without a version, it was stopped."""

    folder: Path
    version: Version | None
    rows: list[Row]


def run(
    request: PolicyRequest,
    should_stop: Callable[[], bool] = lambda: False,
    callback: PolicyCallback | None = None,
) -> PolicyResult:
    """Learn, evaluate, export and add a version that has the policy.

    Args:
        request: what to learn, and in what.
        should_stop: asked between episodes and rounds; what is done is kept.
        callback: hears of the progress.

    Raises:
        MbrlError: something does not exist or fit; the registry is unchanged.
    """
    base = (request.runs_dir or home_dir() / "runs") / "policy" / request.task
    if request.resume:
        folder = base / request.name if request.name else newest_unfinished(base)
        if (folder / DONE_FILE).exists():
            raise MbrlError(f"{folder}: this run has finished")
        plan = read_plan(folder)
    else:
        plan = make_plan(request)
        folder = new_run(base, plan.model_dump_json(indent=2), request.name)
    with only_process(folder / LOCK_FILE, f"{folder}: this run is going on already"):
        this = _Run(plan, folder, should_stop, callback or PolicyCallback())
        try:
            this.learn()
        except _StopError:
            return PolicyResult(folder, None, this.log.rows)
        this.callback.on_stage("exporting")
        version = add_version(plan, folder, this.contract, this.source.agent, this.figures(), this.world)
        mark_done(folder, f"added: {version.name}\n")
        return PolicyResult(folder, version, this.log.rows)


def text(row: Row) -> str:
    """An evaluation in one line."""
    found = row.figures()
    parts = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in found.items()]
    return f"{row.env_steps:,} real steps, {row.total_s / 60:.1f} min: {', '.join(parts)}"


@dataclass
class _Run:
    """A run at work. `done`: control steps, or updates, so far."""

    plan: PolicyPlan
    folder: Path
    should_stop: Callable[[], bool]
    callback: PolicyCallback
    contract: RobotContract = field(init=False)
    log: RunLog = field(init=False)
    source: SimSource | ModelSource = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self.contract = parse_contract(plan.contract, "the run's contract", plan.contract_folder)
        self.log = RunLog(self.folder / LOG_FILE)
        self.callback.on_stage("preparing")
        try:
            self.source = SimSource(plan, self.contract) if plan.source == "sim" else ModelSource(plan, self.contract)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("stable_baselines3", "torch"):
                raise
            raise MbrlError(
                f"mbrl policy needs {error.name}, which is not installed: {how_to_install('policy')}"
            ) from error
        self._judged_in = judge(plan, self.contract)
        judged, source = self._judged_in, self.source
        self.world = source.world if isinstance(source, SimSource) else judged.world if judged else ""
        self._elapsed, self._began = 0.0, time.monotonic()
        self._evaluated = self._saved = 0
        path = self.folder / CHECKPOINT
        if path.exists():
            note = self.source.agent.restore(path)
            self._elapsed, self._evaluated = note["elapsed"], note["evaluated"]
            self._saved = note["done"]

    def learn(self) -> None:
        """To the end, with a last evaluation and checkpoint."""
        self.callback.on_stage(self.plan.label)
        self.source.learn(self._between)
        self._evaluate(self.source.done, last=True)
        self._save()

    def figures(self) -> dict[str, float]:
        """Of the last evaluation."""
        rows = self.log.of(StepKind.EVALUATE)
        found = rows[-1].figures() if rows else {}
        return {**found, "real_points": float(self.source.points), "updates": float(self.source.agent.updates)}

    def _between(self, done: int) -> None:
        """After an episode, or a round of rollouts."""
        config = self.plan.config
        self.callback.on_progress(done, self.plan.amount)
        if done - self._evaluated >= config.evaluate_every and done < self.plan.amount:
            self._evaluate(done)
        stop = self.should_stop()
        if stop or done - self._saved >= config.checkpoint_every:
            self._save()
        if stop:
            raise _StopError

    def _save(self) -> None:
        note = {"elapsed": self._total(), "evaluated": self._evaluated, "done": self.source.done}
        self.source.agent.save(self.folder / CHECKPOINT, note)
        self._saved = self.source.done

    def _evaluate(self, done: int, last: bool = False) -> None:
        """Write a row. Runs in a model have one evaluation, at their end: their real points do not grow."""
        every = self.plan.config.evaluate_every
        number = -(-self.plan.amount // every) if last else done // every
        kind = StepKind.EVALUATE if last or self.plan.source == "sim" else StepKind.TRAIN
        self._evaluated = done
        if self._judged_in is None or self.log.find(kind, number) is not None:
            return
        self.callback.on_stage(f"evaluating after {done}")
        began, figures = time.monotonic(), self._judged_in(self.source.agent)
        row = Row.model_validate(
            {
                "step": kind,
                "round": number,
                "env_steps": self.source.points,
                "robot_minutes": self.source.points * self.contract.action.period / 60,
                "wall_s": time.monotonic() - began,
                "total_s": self._total(),
                "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "version": self.plan.version,
                **figures,
            }
        )
        self.log.append(row)
        self.callback.on_row(row)

    def _total(self) -> float:
        return self._elapsed + time.monotonic() - self._began
