# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From a trained agent to a version: its policy beside the model it learnt in, or alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mbrl_controller.base.files import write_atomically
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.data_schema import source_kinds
from mbrl_controller.learning.policy_plan import PolicyPlan, command_of
from mbrl_controller.models.card import HEAD_FILES, ModelCard, Version
from mbrl_controller.models.heads import HeadCard
from mbrl_controller.models.new_heads import add_heads
from mbrl_controller.models.origin import Origin
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import ModelSpec

if TYPE_CHECKING:
    from mbrl_controller.training.sac import Agent

CREATED_FILE = "created"


def add_version(
    plan: PolicyPlan, folder: Path, contract: RobotContract, agent: Agent, figures: Mapping[str, float], world: str
) -> Version:
    """Export the agent's policy, and add a version with it. A run that was killed after that adds no second one.

    Args:
        plan: of the run.
        folder: of the run.
        contract: of the robot.
        agent: that has learnt.
        figures: for the card.
        world: in which it acted and was judged; empty: none is known.

    Raises:
        MbrlError: nothing can be written; the registry is unchanged.
    """
    registry, created = Registry(plan.models_dir), _created(folder)
    for version in registry.versions(plan.task):
        if not version.shipped and version.card().spec.created == created:
            return version
    files = folder / "version"
    files.mkdir(exist_ok=True)
    name, path = registry.next_name(plan.task), files / HEAD_FILES["policy"]
    spec = agent.inputs.spec.model_copy(update={"version": name, "created": created})
    file = agent.inputs.export(path, agent.layers(), spec)
    command = command_of(plan)
    head = HeadCard(
        sha256=file.sha256,
        kind="sac",
        command=command,
        figures={key: float(value) for key, value in figures.items() if np.isfinite(value)},
        parent=plan.version,
        created=created,
    )
    if plan.version:
        added = add_heads(
            registry, plan.task, plan.version, files, {"policy": head}, created=created, command=command,
            notes=plan.notes,
        )  # fmt: skip
    else:
        own = ModelSpec.of(contract.task, contract.file.robot, contract.action, ensemble_size=0, hidden=())
        own = own.model_copy(
            update={"version": name, "created": created, "transitions": int(figures.get("real_points", 0))}
        )
        origin = Origin(robot=contract.file.robot, world=world, episodes=max(agent.env.episode, 1))
        card = ModelCard(
            spec=own,
            command=command,
            notes=plan.notes,
            policy=head,
            measured=source_kinds(contract),
            origins=(origin,),
        )
        added = registry.add(plan.task, files, card)
    if plan.promote:
        registry.promote(plan.task, added.name)
    return added


def _created(folder: Path) -> str:
    """When the run's version was made, the same after a kill."""
    path = folder / CREATED_FILE
    if not path.exists():
        write_atomically(path, datetime.now(timezone.utc).isoformat().encode())
    return path.read_text()
