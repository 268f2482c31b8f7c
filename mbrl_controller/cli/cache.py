# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl cache`: decoded episodes, kept so that the next training need not decode them again."""

from __future__ import annotations

import typer

from mbrl_controller.cli.console import say
from mbrl_controller.cli.errors import report_errors

app = typer.Typer(help="Decoded episodes, kept for the next training: info, clear.", no_args_is_help=True)


@app.command()
@report_errors
def info() -> None:
    """Where the cache is, and how large."""
    from mbrl_controller.base.cache_folder import LIMIT_VARIABLE, cache_dir, cache_limit
    from mbrl_controller.training.column_cache import measure

    folder = cache_dir()
    if folder is None:
        say("off (MBRL_CACHE=off)")
        return
    found = measure(folder)
    say(f"{folder}: {found.entries:,} episodes, {found.size / 2**30:.2f} GiB")
    say(f"limit {cache_limit() / 2**30:g} GiB ({LIMIT_VARIABLE}); what was not used for longest goes first")


@app.command()
@report_errors
def clear() -> None:
    """Remove all of it; the next training decodes what it needs."""
    from mbrl_controller.base.cache_folder import cache_dir
    from mbrl_controller.training import column_cache as job

    folder = cache_dir()
    if folder is None:
        say("off (MBRL_CACHE=off)")
        return
    found = job.clear(folder)
    say(f"{folder}: removed {found.entries:,} episodes, {found.size / 2**30:.2f} GiB")
