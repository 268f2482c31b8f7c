# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The labelled states of a distillation's rounds, in part files, of which a killed run loses only the last."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.base.worker_pool import WorkerPool
from mbrl_controller.models.head_loading import HeadFile, HeadFiles
from mbrl_controller.models.registry import file_sha256
from mbrl_controller.training.callbacks import DistilCallback
from mbrl_controller.training.demonstrations import Demonstrations, join
from mbrl_controller.training.distil_plan import DistilInputs, DistilPlan
from mbrl_controller.training.distil_work import SEEDS_OF_ROUND, Piece, Work, do
from mbrl_controller.training.log_stretches import sample_log

if TYPE_CHECKING:
    from mbrl_controller.rollouts.episode import EpisodeSpec

STATES_OF_PIECE = 200  # of the log, about; plans that a killed process has to make again
EPISODES_OF_PIECE = 2
MAX_EMPTY = 100  # pieces in a row without a usable state


class StoppedError(Exception):
    """A person asked to stop; finished parts are on disk."""


def part_file(folder: Path, number: int) -> Path:
    """Part `number` of a round's folder."""
    return folder / f"part-{number:05d}.npz"


def labelled_states(
    plan: DistilPlan,
    inputs: DistilInputs,
    number: int,
    folder: Path,
    policy: Path | None,
    processes: int,
    should_stop: Callable[[], bool],
    callback: DistilCallback,
) -> Demonstrations:
    """The demonstrations of round `number`; those that `folder` has are not made again.

    Args:
        plan: of the run.
        inputs: of the run.
        number: 0: the log, or the planner acts; else the policy acts.
        folder: of the round.
        policy: its file, from round 1 on.
        processes: that work; the result does not depend on it.
        should_stop: asked after each part.
        callback: hears of the progress.

    Raises:
        StoppedError: it was asked to stop.
        DatasetError: there is no usable state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = plan.states_of(number)
    parts: list[Demonstrations] = []
    have = empty = 0
    callback.on_label_start(number, wanted)

    def take(part: Demonstrations) -> bool:
        """Whether there are enough."""
        nonlocal have, empty
        parts.append(part)
        have, empty = have + len(part), 0 if len(part) else empty + 1
        callback.on_labelled(min(have, wanted))
        return have >= wanted or empty > MAX_EMPTY

    enough = False
    while not enough and part_file(folder, len(parts)).exists():
        enough = take(Demonstrations.load(part_file(folder, len(parts))))
    complete = folder / "complete"  # the log may have had no more
    if not enough and not complete.exists():
        pieces = _pieces(plan, inputs, number, policy, callback)
        with WorkerPool(do, processes) as pool:
            for part in pool.results(itertools.islice(pieces, len(parts), None)):
                part.save(part_file(folder, len(parts)))
                if take(part):
                    break
                if should_stop():
                    raise StoppedError
        complete.touch()
    usable = [part for part in parts if len(part)]
    if not usable:
        raise DatasetError(f"round {number}: no state is usable: the object is lost at once, or no plan was found")
    return join(usable).first(wanted)


def _pieces(
    plan: DistilPlan, inputs: DistilInputs, number: int, policy: Path | None, callback: DistilCallback
) -> Iterator[Piece]:
    config, teacher = plan.config, inputs.teacher
    if policy is not None and config.proposal_fraction:
        options = {**teacher.planner_options, "proposal_fraction": config.proposal_fraction}
        teacher = teacher.model_copy(update={"planner_options": options, "heads": _with_policy(teacher.heads, policy)})
    work = Work(teacher, config, inputs.rows, number)
    if number == 0 and plan.files:
        callback.on_read_start(len(plan.files))
        files = [Path(file) for file in plan.files]
        sample = sample_log(
            files, inputs.contract, plan.states_of(0), config.stretch, config.seed, plan.mix, callback.on_file_read
        )
        for path, reason in itertools.islice(sample.unused_files.items(), 3):
            callback.on_stage(f"{path} is left out: {reason}")
        size = max(1, STATES_OF_PIECE // config.stretch)
        for first in range(0, len(sample.stretches), size):
            yield Piece(work, first, tuple(sample.stretches[first : first + size]))
        return
    hands = plan.config.sims or (plan.sim,)
    work = replace(work, actors=tuple(actor(plan, inputs, policy, sim) for sim in hands))
    for first in range(0, SEEDS_OF_ROUND, EPISODES_OF_PIECE):
        yield Piece(work, first, episodes=EPISODES_OF_PIECE)


def actor(plan: DistilPlan, inputs: DistilInputs, policy: Path | None, sim: str = "") -> EpisodeSpec:
    """Episodes in which the policy of a file acts, or the planner that teaches; with its goals and without noise.

    `sim` is the preset of the hand, by default the plan's.
    """
    from mbrl_controller.rollouts.episode import EpisodeSpec
    from mbrl_controller.simulation.sim_presets import make_sim_options

    teacher = inputs.teacher
    return EpisodeSpec(
        contract=teacher.contract,
        contract_folder=teacher.contract_folder,
        sim=make_sim_options(sim or plan.sim, plan.sim_options),
        policy="controller" if policy is None else "distilled",
        planner=teacher.planner,
        planner_options=teacher.planner_options,
        core=teacher.core,
        model=teacher.model,
        model_sha256=teacher.model_sha256,
        model_version=plan.version,
        goal_options=plan.goal_options,
        heads=teacher.heads if policy is None else _with_policy(teacher.heads, policy),
    )


def _with_policy(heads: HeadFiles, policy: Path) -> HeadFiles:
    return heads.model_copy(update={"policy": HeadFile(path=policy, sha256=file_sha256(policy))})
