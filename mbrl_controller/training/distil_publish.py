# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From the files of a distillation to a version with new heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.models.card import Version
from mbrl_controller.models.heads import HeadCard
from mbrl_controller.models.new_heads import add_heads
from mbrl_controller.models.registry import file_sha256
from mbrl_controller.training.distil_plan import command_of
from mbrl_controller.training.distil_report import write_report
from mbrl_controller.training.distil_run import DistilRun

Status = Literal["promoted", "added", "stopped"]


@dataclass(frozen=True)
class DistilResult:
    """How a run ended, and the figures of policy and value."""

    status: Status
    run_folder: Path
    version: Version | None
    policy: dict[str, float]
    value: dict[str, float]
    notes: tuple[str, ...] = ()


def publish(
    run: DistilRun,
    policy: Path,
    value: Path,
    figures: dict[str, float],
    values: dict[str, float],
    notes: tuple[str, ...],
) -> DistilResult:
    """Add the version, unless this run did so before it was killed, and promote it where asked."""
    plan, files = run.plan, run.folder / "version"
    version = None if plan.in_place else _added_before(run)
    if version is None:
        files.mkdir(exist_ok=True)
        heads: dict[Any, HeadCard] = {}
        given = [("policy", policy, "distilled", figures)]
        if plan.config.value:
            given.append(("value", value, "monte_carlo", values))
        for kind, file, method, numbers in given:
            write_atomically(files / file.name, file.read_bytes())
            heads[kind] = HeadCard(
                sha256=file_sha256(files / file.name),
                kind=method,  # type: ignore[arg-type]
                command=command_of(plan),
                figures={name: number for name, number in numbers.items() if np.isfinite(number)},
                parent=plan.version,
                created=plan.created,
            )
        write_report(files, plan, run.inputs, figures, values, notes)
        if plan.in_place:
            version = run.registry.record_heads(plan.task, plan.version, files, heads)
            return DistilResult("added", run.folder, version, figures, values, notes)
        version = add_heads(
            run.registry,
            plan.task,
            plan.version,
            files,
            heads,
            created=plan.created,
            command=command_of(plan),
            notes=plan.notes,
        )
    if plan.promote:
        run.registry.promote(plan.task, version.name)
    return DistilResult("promoted" if plan.promote else "added", run.folder, version, figures, values, notes)


def _added_before(run: DistilRun) -> Version | None:
    for version in run.registry.versions(run.plan.task):
        try:
            spec = version.card().spec
        except MbrlError:
            continue  # another one, damaged
        if not version.shipped and (spec.created, spec.parent) == (run.plan.created, run.plan.version):
            return version
    return None
