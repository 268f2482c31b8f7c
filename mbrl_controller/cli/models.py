# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl models`: versions on disk, promotion and roll-back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.cli.completion import complete_tasks
from mbrl_controller.cli.console import console
from mbrl_controller.cli.errors import REFUSED, report_errors
from mbrl_controller.cli.options import TASKS, ContractOption, ModelsOption, NamedTask

app = typer.Typer(help="Model versions: list, show, promote, rollback, quantise, rewrite.", no_args_is_help=True)


@app.command("list")
@report_errors
def list_versions(
    task: Annotated[str | None, typer.Argument(help=f"{TASKS} (default: all)", autocompletion=complete_tasks)] = None,
    models_dir: ModelsOption = None,
) -> None:
    """All versions, the current one marked."""
    from rich.table import Table

    from mbrl_controller.base.errors import MbrlError
    from mbrl_controller.models.registry import Registry
    from mbrl_controller.tasks import catalog

    registry = Registry(models_dir)
    about = ("robot", "worlds", "created", "parent", "transitions", "precision")
    rows: list[tuple[str, ...]] = []
    if task and task not in catalog.TASKS:
        raise MbrlError(f"unknown task {task!r}; known tasks: {', '.join(sorted(catalog.TASKS))}")
    for name in [task] if task else sorted(catalog.TASKS):
        versions = registry.versions(name)
        try:
            current = registry.current(name).name if versions else ""
        except MbrlError:
            current = ""  # versions, but none promoted yet
        for version in versions:
            card = version.card()
            spec = card.spec
            mark = "*" if version.name == current else ""
            made = (spec.robot, card.worlds, spec.created, spec.parent, f"{spec.transitions:,}", card.precisions)
            rows.append((name, version.name, mark, *made, card.head_names))
    heads = any(row[-1] for row in rows)  # a column that is empty would take room from the others
    table = Table("task", "version", "current", *about, *(["heads"] if heads else []), box=None)
    for row in rows:
        table.add_row(*(row if heads else row[:-1]))
    console.print(table if table.row_count else "no models")


@app.command()
@report_errors
def show(
    task: NamedTask,
    version: Annotated[str, typer.Argument(help="version; default: the current one")] = "current",
    trial: Annotated[
        bool, typer.Option("--trial", help="time its files on this processor, unless they were before")
    ] = False,
    models_dir: ModelsOption = None,
) -> None:
    """The card of a version as JSON, after checking that its files are intact, and which file serves here."""
    from mbrl_controller.control.task_config import planner_defaults
    from mbrl_controller.models.registry import Registry
    from mbrl_controller.models.selection import served_here
    from mbrl_controller.planning.catalog import PLANNERS

    found = Registry(models_dir).resolve(task, version)
    card = found.check_digest()
    shown = card.model_dump(mode="json")
    if card.model_sha256 is not None and not card.spec.residual_to:
        planner = PLANNERS["pddm"].config_type(**planner_defaults(task, "pddm").planner_options)
        shown["served_here"] = served_here(found, card, (planner.batch, planner.horizon), trial)
    console.print_json(data=shown)


@app.command()
@report_errors
def promote(
    task: NamedTask, version: Annotated[str, typer.Argument(help="version")], models_dir: ModelsOption = None
) -> None:
    """Make a version the current one; a running controller takes it at the next ~/load_model."""
    from mbrl_controller.models.registry import Registry

    found = Registry(models_dir).promote(task, version)
    console.print(f"{task}: {found.name} is current")


@app.command()
@report_errors
def rollback(task: NamedTask, models_dir: ModelsOption = None) -> None:
    """Make the version that was current before the current one again."""
    from mbrl_controller.models.registry import Registry

    found = Registry(models_dir).roll_back(task)
    console.print(f"{task}: {found.name} is current again")


@app.command()
@report_errors
def quantise(
    task: NamedTask,
    version: Annotated[str, typer.Argument(help="version; default: the current one")] = "current",
    episodes: Annotated[
        list[Path] | None, typer.Option(help="files or folders it learnt from, repeatable (default: the whole log)")
    ] = None,
    contract: ContractOption = None,
    models_dir: ModelsOption = None,
) -> None:
    """Add an 8-bit file to a version, if it plans as the fp32 one does; exit code 1 and the reason if not."""
    from mbrl_controller.training import quantise as job

    done = job.run(task, version, episodes=episodes, models_dir=models_dir, contract=contract, processes=usable_cores())
    found, acceptance = done.version, done.acceptance
    if not done.same_data:
        console.print("these are not the episodes that it learnt from: fewer, more or others", highlight=False)
    for name, value in acceptance.metrics.items():
        console.print(f"{name} {value:.4g}", highlight=False)
    outcome = f"{found.int8.name} added" if acceptance.passed else f"stays fp32: {acceptance.failed_checks}"
    console.print(f"{task} {found.name}: {outcome}", markup=False, soft_wrap=True)
    if not acceptance.passed:
        raise typer.Exit(REFUSED)


@app.command()
@report_errors
def rewrite(
    task: NamedTask,
    version: Annotated[str, typer.Argument(help="version; default: the current one")] = "current",
    models_dir: ModelsOption = None,
) -> None:
    """Add a version with the same networks in the graph that this release writes, which may be faster."""
    from mbrl_controller.training import rewrite as job

    found = job.run(task, version, models_dir=models_dir)
    console.print(f"{task} {found.name} added; it predicts alike: mbrl models promote {task} {found.name}")
