# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The steps of a learning run. Each may be killed and run again: it reuses what is already on disk."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mbrl_controller.base.run_folder import PLAN_FILE, is_unfinished
from mbrl_controller.contract.contract import copy_contract, parse_contract
from mbrl_controller.dynamics.import_onnx import weights_of
from mbrl_controller.learning.base_version import BASE_NAME
from mbrl_controller.learning.callbacks import Distilling, LearnCallback
from mbrl_controller.learning.config import ACCEPTANCE_SEEDS, LearnPlan
from mbrl_controller.learning.log import Row, RunLog, StepKind
from mbrl_controller.learning.logged_episodes import evaluate_logged, summarise_logged
from mbrl_controller.learning.ros_collection import collect_through_ros, stack_config
from mbrl_controller.learning.run_data import RunData
from mbrl_controller.learning.schedule import EpisodeBatch, judged_rollout, random_batches, rehearsal_batches
from mbrl_controller.learning.start_version import copy_base
from mbrl_controller.models.card import Version
from mbrl_controller.models.registry import NO_FALLBACK_FILE, Registry
from mbrl_controller.rollouts import collect, evaluate
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.tasks.metrics import SHARED, direction, specs_in
from mbrl_controller.training import retrain
from mbrl_controller.training.distil_plan import DistilRequest
from mbrl_controller.training.retrain_plan import RetrainRequest


class StoppedError(Exception):
    """A person asked to stop; finished work is on disk."""


class RoundRunner:
    """Runs a step and returns the fields of its log row."""

    def __init__(
        self,
        folder: Path,
        plan: LearnPlan,
        log: RunLog,
        pool: EpisodePool,
        should_stop: Callable[[], bool],
        callback: LearnCallback,
    ) -> None:
        self.folder, self.plan, self.log = folder, plan, log
        self.pool = pool
        self.should_stop, self.callback = should_stop, callback
        self.contract = parse_contract(plan.contract, str(folder / PLAN_FILE), plan.contract_folder)
        self.contract_file = copy_contract(self.contract, folder / "contract.yaml")
        self.models = folder / "models"
        self.models.mkdir(exist_ok=True)
        (self.models / NO_FALLBACK_FILE).touch()  # a run must not see the shipped versions
        self.registry = Registry(self.models)
        self.episodes = folder / "episodes"
        self.data = RunData(plan, self.contract, log, self.episodes / plan.task)

    def run(self, step: StepKind, number: int) -> dict[str, Any]:
        """Run one step of round `number`; raises StoppedError, MbrlError."""
        steps: dict[StepKind, Callable[[int], dict[str, Any]]] = {
            StepKind.START: self._start,
            StepKind.RANDOM: lambda number: self._collect(number, random_batches(self.plan)),
            StepKind.TRAIN: self._train,
            StepKind.ACCEPT: self._test_acceptance,
            StepKind.EVALUATE: self._evaluate,
            StepKind.COLLECT: lambda number: self._collect(number, self.data.batches(number), self._actor(number)),
        }
        return steps[step](number)

    def _start(self, number: int) -> dict[str, Any]:
        """Copy the version that the run starts from, and let it run old data in the world that it was made for."""
        batches = rehearsal_batches(self.plan)
        self.callback.on_step_start(StepKind.START, number, sum(batch.episodes for batch in batches))
        version = copy_base(self.plan, self.registry)
        for batch in batches:
            self._run(batch, version.name)
        return {"version": version.name, "weights": weights_digest(version)}

    def _collect(self, number: int, batches: list[EpisodeBatch], version: str = "") -> dict[str, Any]:
        name = StepKind.COLLECT if version else StepKind.RANDOM
        self.callback.on_step_start(name, number, sum(batch.episodes for batch in batches))
        for batch in batches:
            if self.plan.through_ros and (version or self.plan.hand == "real"):
                self._log(batch, version)
            else:
                self._run(batch, version)
        return {"version": version, **summarise_logged(self.data.folders(batches), self.contract)}

    def _run(self, batch: EpisodeBatch, version: str) -> None:
        """In lockstep; `version` is ignored by policies without a model."""
        collect.run(
            replace(batch.rollout, model=version, contract=self.contract_file, models_dir=self.models),
            episodes=batch.episodes,
            seed=batch.seed,
            episodes_dir=self.episodes,
            session=batch.name,
            pool=self.pool,
            on_episode=self._episode,
        )

    def _log(self, batch: EpisodeBatch, version: str) -> None:
        """Through the nodes."""
        config = stack_config(
            self.plan,
            batch,
            contract=self.contract,
            contract_file=self.contract_file,
            version=version,
            models_dir=self.models,
            episodes_dir=self.episodes,
        )
        callback = self.callback
        enough = collect_through_ros(config, batch, callback.on_episode_end, self.should_stop, callback.on_note)
        if not enough:
            raise StoppedError

    def _train(self, number: int) -> dict[str, Any]:
        """Train the version with the number of this round; it is in the registry whole or not at all."""
        self.callback.on_step_start(StepKind.TRAIN, number, 0)
        name = f"v{number:04d}"
        if not any(v.name == name for v in self.registry.versions(self.plan.task)):
            self._retrain(number)
        if self.plan.distil is not None:
            self._distil(number, name)
        shutil.rmtree(self._scratch(number), ignore_errors=True)  # checkpoint, and the version's files once more
        version = self.registry.resolve(self.plan.task, name)
        if self.plan.acceptance_test == "always":
            self.registry.promote(self.plan.task, name)
        spec = version.card().spec
        return {
            "version": name,
            "start": self.plan.start_of(number),
            "transitions": spec.transitions,
            "weights": weights_digest(version),
            "one_step_nrmse": spec.metrics["one_step_nrmse"],
            "horizon_nrmse": spec.metrics.get("horizon_nrmse"),
        }

    def _retrain(self, number: int) -> None:
        runs, files = self._scratch(number), self.data.files(number)
        request = RetrainRequest(
            self.plan.task,
            episodes=files,
            models_dir=self.models,
            contract=self.contract_file,
            start=self.plan.start_of(number),
            force=True,  # control decides, and the next round's data is the cure
            promote=False,
            resume=any(map(is_unfinished, runs.glob(f"retrain/{self.plan.task}/*"))),
            precision=self.plan.precision,
            options=self.plan.training_of(number).model_dump(),
            runs_dir=runs,
            threads=self.plan.threads,
            mix=self.plan.mix,
            weights=self.data.weights(files),
        )
        result = retrain.run(request, self.should_stop, self.callback, self.pool.processes)
        if result.status == "stopped":
            raise StoppedError

    def _distil(self, number: int, name: str) -> None:
        """Teach the version's planner to a policy and a value, which the version gets: nobody uses it yet."""
        from mbrl_controller.training import distil

        plan, runs = self.plan, self._scratch(number)
        assert plan.distil is not None
        if "policy" in self.registry.resolve(plan.task, name).card().heads:
            return  # a run that was killed had come so far
        request = DistilRequest(
            plan.task,
            model=name,
            episodes=self.data.files(number),
            models_dir=self.models,
            contract=self.contract_file,
            planner=plan.planner_name,
            planner_options={**plan.planner, **plan.distil.planners.get(plan.planner_name, {})},
            core_options=plan.core.model_dump(),
            sim=plan.sim,
            sim_options=plan.sim_options,
            options=plan.distil.model_dump() | {"seed": plan.seed, "threads": plan.threads},
            mix=plan.mix,
            in_place=True,
            resume=any(map(is_unfinished, runs.glob(f"distil/{plan.task}/*"))),
            runs_dir=runs,
        )
        told = Distilling(self.callback)
        if distil.run(request, self.should_stop, told, self.pool.processes).status == "stopped":
            raise StoppedError

    def _scratch(self, number: int) -> Path:
        return self.folder / "rounds" / f"{number:03d}"

    def _actor(self, number: int) -> str:
        """The version that collects in round `number`: its own, or the best one if that was not accepted."""
        if number == 0:
            return BASE_NAME
        judged = self.log.find(StepKind.ACCEPT, number)
        if judged is None or judged.accepted:
            return f"v{number:04d}"
        return self._best_accepted().version

    def _best_accepted(self) -> Row:
        accepted = (row for row in self.log.of(StepKind.ACCEPT) if row.accepted)
        return max(accepted, key=lambda row: self._merit(row.figures()))

    def _merit(self, figures: Mapping[str, Any]) -> float:
        """The figure that the acceptance test compares, more of which is better; without a value the worst."""
        key = self.plan.acceptance_metric
        return direction(self.contract.task.metric_specs, key) * float(figures[key]) if key in figures else -math.inf

    def _test_acceptance(self, number: int) -> dict[str, Any]:
        """Test whether this round's version may collect: not clearly worse than the best, on the same seeds."""
        plan, name = self.plan, f"v{number:04d}"
        self.callback.on_step_start(StepKind.ACCEPT, number, plan.acceptance_episodes)
        figures = self._evaluate_version(name, ACCEPTANCE_SEEDS, plan.acceptance_episodes)
        accepted = True
        if any(row.accepted for row in self.log.of(StepKind.ACCEPT)):
            best = self._merit(self._best_accepted().figures())
            merit = self._merit(figures)
            accepted = merit >= best or merit >= best - plan.acceptance_margin * abs(best)
        if accepted:
            self.registry.promote(plan.task, name)
        return {"version": name, "accepted": accepted, **figures}

    def _evaluate(self, number: int) -> dict[str, Any]:
        """Evaluate the version that acts after this round, unless that was done before, with the same result."""
        plan, name = self.plan, self._actor(number)
        if plan.hand == "real":
            return {"version": name, **self._evaluate_collected(number)}
        known = next((row for row in self.log.of(StepKind.EVALUATE) if row.version == name), None)
        if known is not None:
            return {"version": name, **known.figures()}
        self.callback.on_step_start(StepKind.EVALUATE, number, plan.evaluate_episodes)
        return {"version": name, **self._evaluate_version(name, plan.evaluation_seed, plan.evaluate_episodes)}

    def _evaluate_collected(self, number: int) -> dict[str, Any]:
        """Metrics of the episodes that the round's version collected, of those without noise if there are any."""
        self.callback.on_step_start(StepKind.EVALUATE, number, 0)
        batches = self.data.batches(number)
        plain = [batch for batch in batches if not batch.rollout.exploration] or batches
        full = self.contract.task.episode_s
        return evaluate_logged([(b.rollout.seconds or full, self.data.folders([b])) for b in plain], self.contract)

    def _evaluate_version(self, version: str, seed: int, episodes: int) -> dict[str, Any]:
        """Metrics as of `mbrl evaluate`: the task's own goals and starts, no noise."""
        report = evaluate.run(
            judged_rollout(self.plan, version, self.models, self.contract_file),
            episodes=episodes,
            seed=seed,
            pool=self.pool,
            on_episode=self._episode,
        )
        keys = [key for metric in specs_in(report) for key in metric.figure_keys()]
        return {name: report[name] for name in ("episodes", *SHARED, *keys) if name in report}

    def _episode(self, record: object) -> None:
        self.callback.on_episode_end()
        if self.should_stop():  # a collected episode is on the disk by now
            raise StoppedError


def weights_digest(version: Version) -> str:
    """Digest of the weights alone, because the file also holds the time."""
    sha = hashlib.sha256()
    for name, value in sorted(weights_of(version.read(version.model, version.card()))[0].items()):
        sha.update(name.encode() + value.numpy().tobytes())
    return sha.hexdigest()[:16]
