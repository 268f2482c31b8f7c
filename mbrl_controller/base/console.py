# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where commands print: results on stdout, progress and errors on stderr."""

from __future__ import annotations

from rich.console import Console

console = Console()
error_console = Console(stderr=True)


def say(text: str) -> None:
    """Print `text` on stdout as it is, on one line however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
