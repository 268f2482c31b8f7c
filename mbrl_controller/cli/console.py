# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where commands print: results on stdout, progress and errors on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")

console = Console()
error_console = Console(stderr=True)


def say(text: str) -> None:
    """Print `text` on stdout as it is, on one line however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def episode_bar(total: int, what: str = "episodes") -> Iterator[Callable[[Any], None]]:
    """A bar on stderr; call the callback with each finished episode."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=error_console, transient=True) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda record: progress.advance(bar)


class LiveLine(Generic[T]):
    """A spinner until the nodes run, then one line about them: live on a terminal, else printed now and then.

    Args:
        line: makes the line from the time passed (s) and what is known of the run.
        plain_every: s between lines where there is no terminal.
    """

    def __init__(self, line: Callable[[float, T], str], plain_every: float) -> None:
        self._line, self._plain_every, self._printed = line, plain_every, 0.0
        self._spinner = console.status("starting the sim, the controller and the logger")
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveLine[T]:
        self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._spinner.stop()
        if self._live.is_started:
            self._live.stop()

    def show(self, elapsed: float, known: T) -> None:
        """Show the line, `elapsed` s after the start."""
        self._spinner.stop()
        if console.is_terminal:
            self._live.start()
            self._live.update(self._line(elapsed, known))
        elif elapsed - self._printed >= self._plain_every:
            self._printed = elapsed
            say(self._line(elapsed, known))
