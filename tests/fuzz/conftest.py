# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`--fuzz-inputs N`: how many inputs are tried in all; a table of what became of them is printed at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from .hand import probed
from .harness import Fuzz, Tally

tallies = pytest.StashKey[list[Tally]]()

# Of a hundred inputs. YAML and what goes through rclpy take longest, and have less.
SHARES = {
    "messages: state and ticks": 25,
    "messages: format 2": 12,
    "messages: bytes": 17,
    "messages: over DDS": 1,
    "messages: goals, commands": 5,
    "messages: hand commands": 3,
    "messages: logged": 1,
    "contracts: structure": 6,
    "contracts: bytes": 3,
    "models: description": 6,
    "models: card, current": 5,
    "models: bytes": 4,
    "episodes: bytes": 3,
    "episodes: records": 3,
    "parameters: controller": 3,
    "parameters: controller, configured": 1,
    "parameters: logger": 1,
    "parameters: sim": 1,
}
assert sum(SHARES.values()) == 100


def pytest_configure(config: pytest.Config) -> None:
    config.stash[tallies] = []


@pytest.fixture(scope="package", autouse=True)
def task_of_the_hand() -> Iterator[None]:
    with probed():
        yield


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Fuzz]]:
    """`fuzz(kind)` begins to count a kind of SHARES."""
    made: list[Fuzz] = []

    def begin(kind: str) -> Fuzz:
        inputs = int(request.config.getoption("--fuzz-inputs"))
        made.append(Fuzz(kind, max(1, round(inputs * SHARES[kind] / 100))))
        request.config.stash[tallies].append(made[-1].tally)
        return made[-1]

    yield begin
    for each in made:
        each.finish()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not (found := config.stash.get(tallies, [])):
        return
    columns = ("inputs", "tried", "accepted", "refused", "crashes", "over 10 s", "slowest, s", "memory, MiB")
    table = Table(*columns, title="fuzz")
    for row in found:
        numbers = (row.tried, row.accepted, row.refused, row.crashes, row.slow)
        table.add_row(row.kind, *map(str, numbers), f"{row.slowest:.2f}", f"{row.memory:.0f}")
    totals = [sum(getattr(row, name) for row in found) for name in ("tried", "accepted", "refused", "crashes", "slow")]
    table.add_row("all", *map(str, totals), f"{max(row.slowest for row in found):.2f}", "")
    Console(width=None if terminalreporter.hasmarkup else 160, markup=False).print(table)
    if path := config.getoption("--fuzz-table", None):
        rows = [{**asdict(row), "tried": row.tried} for row in found]
        Path(path).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
