# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a shell completes: names of what is installed, and of options, each with its meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import typer


def complete_tasks(incomplete: str) -> list[str]:
    """Tasks that begin so."""
    from mbrl_controller.tasks.catalog import TASKS

    return [name for name in TASKS.names() if name.startswith(incomplete)]


def complete_planners(incomplete: str) -> list[str]:
    """Planners that begin so."""
    from mbrl_controller.planning.catalog import PLANNERS

    return [name for name in PLANNERS.names() if name.startswith(incomplete)]


def complete_sims(incomplete: str) -> list[str]:
    """Presets of the simulated hand that begin so."""
    from mbrl_controller.simulation.sim_presets import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


def complete_contracts(incomplete: str) -> list[str]:
    """Files of all packages' config/ that are contracts, by the name that `--contract` takes."""
    from mbrl_controller.base.shares import SHARES

    found = [
        str(path.relative_to(folder / "config"))
        for folder in SHARES.values()
        for path in sorted((folder / "config").rglob("*.yaml"))
        if "\njoints:" in (text := path.read_text(errors="replace")) or "\nstate:" in text
    ]
    return [name for name in found if name.startswith(incomplete)]


def complete_options(group: str) -> Callable[[typer.Context, str], Iterator[tuple[str, str]]]:
    """What completes `NAME=` of an option group, with the meanings; of the planner that `--planner` names."""

    def complete(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
        from mbrl_controller.base.option_rows import option_rows
        from mbrl_controller.cli.option_groups import options_model

        for row in option_rows(options_model(group, ctx.params.get("planner") or "pddm")):
            if row["option"].startswith(incomplete):
                yield f"{row['option']}=", row["meaning"]

    return complete
