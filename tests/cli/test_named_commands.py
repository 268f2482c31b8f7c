# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Every command that a text names is one: in help, README, docs, configuration, and in what is said to a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mbrl_controller.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"(?<![\w/.-])mbrl ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)([^`#|\n]*)")

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").is_file(), reason="runs in a checkout")


def commands(command: Any, path: str = "mbrl") -> Iterator[tuple[str, Any]]:
    """All commands and groups by their full names."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


COMMANDS = dict(commands(get_command(app)))


def texts() -> Iterator[tuple[str, str]]:
    """Where, and what is written there; a line of Python that goes on in the next is one."""
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "config/*.yaml", "Makefile", "launch/*.py"):
        for file in ROOT.glob(pattern):
            # The end of a line may be in the middle of a command in backticks.
            yield str(file.relative_to(ROOT)), re.sub(r"(`[^`\n]*)\n([^`\n]*`)", r"\1 \2", file.read_text())
    for file in (ROOT / "mbrl_controller").rglob("*.py"):
        yield str(file.relative_to(ROOT)), re.sub(r'"\n\s*f?"', "", file.read_text())
    for name, command in COMMANDS.items():
        yield (
            f"help of {name}",
            f"{command.help or ''}\n"
            + "\n".join(getattr(parameter, "help", None) or "" for parameter in command.params),
        )


def find(words: str) -> Any:
    """The command that the words after `mbrl` name; what follows it may be its argument. None where there is none."""
    first, _, second = words.partition(" ")
    command = COMMANDS.get(f"mbrl {first}")
    if command is not None and hasattr(command, "commands") and second:
        return COMMANDS.get(f"mbrl {first} {second}")
    return command


def test_texts_name_commands_and_options_that_exist() -> None:
    found, wrong = 0, []
    for where, text in texts():
        for match in NAMED.finditer(text):
            words, rest = match.groups()
            if words.split()[0] in ("mbrl", "x"):
                continue
            found += 1
            command = find(words)
            if command is None:
                wrong.append(f"{where}: mbrl {words}")
                continue
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            wrong += [
                f"{where}: mbrl {words} {option}"
                for option in re.findall(r"(?<=[ '\"])--[a-z][a-z-]*", rest)
                if option not in known
            ]
    assert not wrong
    assert found > 50


def test_a_group_lists_its_commands() -> None:
    """Where its help has a list, it is of their names."""
    listed = {}
    for name, command in COMMANDS.items():
        names = re.fullmatch(r"[^:]+: ((?:[\w -]+, )+[\w -]+)\.", (command.help or "").strip())
        if hasattr(command, "commands") and names:
            listed[name] = set(names.group(1).split(", "))
            assert listed[name] == set(command.commands), name
    assert set(listed) >= {"mbrl episodes", "mbrl models"}


def test_every_command_and_option_says_what_it_does() -> None:
    for name, command in COMMANDS.items():
        assert (command.help or "").strip(), name
        for parameter in command.params:
            if "--help" not in parameter.opts and "completion" not in parameter.name:
                assert getattr(parameter, "help", None), f"{name} {parameter.name}"
