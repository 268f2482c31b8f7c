# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl tasks`, `planners`, `worlds` and `options`: what is installed here, from which package, and what it takes."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mbrl_controller.base.plugins import Catalog
from mbrl_controller.cli.errors import report_errors, warn
from mbrl_controller.cli.option_groups import GROUPS, options_model
from mbrl_controller.cli.options import ContractOption, PlannerOption
from mbrl_controller.cli.tables import print_rows

# core: as learn calls it
Group = Literal["training", "planner", "controller", "core", "fit", "identify", "learn", "sim"]


def _installed(catalog: Catalog[type]) -> list[dict[str, str]]:
    rows = []
    for name in catalog:
        lines = (catalog[name].__doc__ or "").strip().splitlines()
        packages = ", ".join(offer.package for offer in catalog.offers.get(name, []))
        rows.append({"name": name, "package": packages or "this process", "what it is": lines[0] if lines else ""})
    return rows


def _warn_of_faults(*catalogs: Catalog) -> None:  # type: ignore[type-arg]
    for catalog in catalogs:
        for text in catalog.faults().values():
            warn(text)


@report_errors
def tasks() -> None:
    """List the tasks that are installed, and the contract that each uses by itself."""
    from mbrl_controller.base.shares import SHARES
    from mbrl_controller.control.task_config import task_defaults
    from mbrl_controller.tasks.catalog import TASKS

    rows = [row | {"contract": task_defaults(row["name"]).contract or "--contract"} for row in _installed(TASKS)]
    print_rows("tasks", rows)
    _warn_of_faults(TASKS, SHARES)


@report_errors
def planners() -> None:
    """List the planners that are installed; `mbrl options planner` lists what they take."""
    from mbrl_controller.planning.catalog import PLANNERS

    print_rows("planners", _installed(PLANNERS))
    _warn_of_faults(PLANNERS)


@report_errors
def worlds(contract: ContractOption = None) -> None:
    """List the simulated worlds that are installed, and that of --contract: robot, task, free objects, where they are.

    `world` is the beginning of the digest of scene and model files, as episodes and models keep it.
    """
    from mbrl_controller.base.shares import SHARES
    from mbrl_controller.contract.contract import load_contract
    from mbrl_controller.simulation.scene_paths import scene_path
    from mbrl_controller.simulation.world_list import list_worlds

    print_rows("worlds", list_worlds(() if contract is None else (scene_path(load_contract(contract)),)))
    _warn_of_faults(SHARES)


@report_errors
def sims() -> None:
    """List the simulated hands that --sim takes: what each is, and its options that differ from the nominal ones."""
    from mbrl_controller.base.shares import SHARES
    from mbrl_controller.simulation.sim_presets import list_presets

    print_rows("simulated hands", list_presets())
    _warn_of_faults(SHARES)


@report_errors
def options(
    group: Annotated[Group | None, typer.Argument(help="which options (default: all)")] = None,
    planner: PlannerOption = "pddm",
) -> None:
    """List options with defaults, ranges, units and meanings, and the commands' options that take them."""
    from mbrl_controller.base.option_rows import option_rows

    group = "controller" if group == "core" else group
    for name in GROUPS if group is None else [group]:
        title = f"planner {planner}" if name == "planner" else name
        rows = list(option_rows(options_model(name, planner)))
        if name == "learn":  # what the command's other arguments are
            rows = [row for row in rows if row["option"] not in ("task", "contract", "contract_folder")]
        print_rows(f"options of {title}, for {GROUPS[name].taken_by}", rows)
