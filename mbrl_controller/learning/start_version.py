# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The start of a run from a version: what of it is known to the plan, its copy in the run, and its old data."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import EpisodeError, MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.learning.base_version import BASE_NAME, BaseVersion
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.models.card import Version
from mbrl_controller.models.origin import REAL, check_one_world, count_origins
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.training.chosen_world import present_world
from mbrl_controller.training.dataset import episode_files
from mbrl_controller.training.parent import why_no_parent
from mbrl_controller.training.version_copy import copy_files


def base_spec(task: str, base: dict[str, Any]) -> ModelSpec:
    """The model of the version that `base` names, as in a plan; raises MbrlError."""
    version = Registry(base.get("models_dir")).resolve(task, str(base["version"]))
    card = version.check_digest()
    version.require_model(card)
    return card.spec


def resolve_base(plan: LearnPlan, robot: RobotContract) -> LearnPlan:
    """The plan with the version's name and digest, and whole paths, so that it is resumed from any folder.

    Raises MbrlError where the hand cannot learn from the version.
    """
    version = Registry(plan.base.models_dir).resolve(plan.task, plan.base.version)
    card = version.check_digest()
    version.require_model(card)
    own = REAL if plan.hand == "real" else present_world(robot)
    if wrong := why_no_parent(card, robot, [own], plan.mix):
        raise MbrlError(f"--from-version {version.name}: the run cannot start from it: {wrong}")
    warm = plan.start_of(1) == "warm"
    shape, asked = (card.spec.ensemble_size, card.spec.hidden), (plan.training.ensemble_size, plan.training.hidden)
    if warm and shape != asked:
        raise MbrlError(
            f"--from-version {version.name}: its networks are {shape[0]} of {list(shape[1])}, the plan's {asked[0]} of "
            f"{list(asked[1])}: leave training.ensemble_size and training.hidden out, or train afresh (start=fresh)"
        )
    old = [(info.robot, info.world) for info in map(read_info, old_files(plan.base))]
    if old:
        check_one_world(count_origins([*old, (robot.file.robot, own)]), plan.mix, "leave base.old_episodes out")
    if plan.base.rehearsal and own == REAL and "worlds" not in plan.mix:
        raise MbrlError("learning options: base.rehearsal: its episodes are simulated, the hand is real (--mix worlds)")
    known = {"version": version.name, "model_sha256": card.model_sha256}
    places = {
        "models_dir": plan.base.models_dir and plan.base.models_dir.resolve(),
        "old_episodes": tuple(path.resolve() for path in plan.base.old_episodes),
    }
    base = plan.base.model_copy(update=known | places)
    return plan.model_copy(update={"base": base})


def old_files(base: BaseVersion) -> list[Path]:
    """The version's own episodes; raises EpisodeError where a folder is missing or has none."""
    for folder in base.old_episodes:
        if not episode_files([folder]):
            raise EpisodeError(f"{folder}: no episode files (*.mcap): leave it out of base.old_episodes")
    return episode_files(base.old_episodes)


def copy_base(plan: LearnPlan, registry: Registry) -> Version:
    """The version in the run's own registry, as its current one: copied there unless it was before.

    Raises MbrlError if it is not the one that the plan noted any more.
    """
    known = {version.name: version for version in registry.versions(plan.task)}
    if BASE_NAME not in known:
        base = plan.base
        version = Registry(base.models_dir).resolve(plan.task, base.version)
        card = version.check_digest()
        if card.model_sha256 != base.model_sha256:
            raise MbrlError(f"{version.folder}: it is not the version any more with which this run was planned")
        with tempfile.TemporaryDirectory() as scratch:
            changed = copy_files(version, card, Path(scratch), BASE_NAME)
            notes = f"{plan.task} {version.name}, from which this run starts"
            registry.add(plan.task, Path(scratch), changed.model_copy(update={"notes": notes}))
    return registry.promote(plan.task, BASE_NAME)
