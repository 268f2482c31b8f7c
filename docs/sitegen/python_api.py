# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What Python code outside this package uses: entry points, and the names that examples and templates import."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from importlib.metadata import entry_points as installed
from importlib.util import find_spec
from pathlib import Path

from mbrl_controller.base.resources import PACKAGE, share_dir
from sitegen.tables import code, table

GROUPS = {
    "mbrl_controller.tasks": "tasks: classes, subclasses of `Task`",
    "mbrl_controller.planners": "planners: classes, subclasses of `Planner`",
    "mbrl_controller.share": "folders with `config/`, `sim/` and `models/`: functions that return a `Path`",
    "console_scripts": "commands",
}


def entry_points() -> str:
    """The groups of entry points, and what this package has in each."""
    parts = []
    for group, what in GROUPS.items():
        own = [found for found in installed(group=group) if found.value.startswith(f"{PACKAGE}.")]
        rows = [[code(found.name), code(found.value)] for found in sorted(own)]
        parts.append(f"### {group}\n\n{what[:1].upper()}{what[1:]}.\n\n{table(('name', 'what it names'), rows)}")
    return "\n".join(parts)


def names() -> dict[str, list[str]]:
    """The names that outside code imports, by module."""
    root = share_dir()
    files = [*(root / "examples").rglob("*.py"), *(root / PACKAGE / "scaffold" / "templates").glob("*.py.in")]
    found: dict[str, set[str]] = {}
    for module, name in (pair for file in files for pair in _imports(file)):
        found.setdefault(module, set()).add(name)
    return {module: sorted(found[module]) for module in sorted(found)}


def _imports(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(_python(file))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if _is_module(inner):
                    yield from ((inner, name) for name in _used(file, alias.name))
                else:
                    yield str(node.module), alias.name


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what stands before the last dot is a module, not a package
        return False


def _used(file: Path, module: str) -> set[str]:
    """What a file takes of a module that it imports whole."""
    tree = ast.parse(_python(file))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module
    }


def _python(file: Path) -> str:
    """A file's text; of a template its imports only, for the rest is not Python yet."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".in":
        return text
    return "\n".join(line for line in text.splitlines() if line.startswith(f"from {PACKAGE}") and "(" not in line)


def markdown() -> str:
    """Each name with its documentation."""
    parts = []
    for module, imported in names().items():
        things = {name: getattr(importlib.import_module(module), name) for name in imported}
        plain = [name for name, thing in things.items() if _directive(thing) is None]
        documented = [
            f".. {directive}:: {module}.{name}\n{'   :members:' if directive == 'autoclass' else ''}\n"
            for name, thing in things.items()
            if (directive := _directive(thing)) is not None
        ]
        parts.append(f"### {module}\n")
        parts += [f"- {code(name)}: {code(_one_line(things[name]))}\n" for name in plain]
        parts += ["```{eval-rst}", *documented, "```\n"] if documented else []
    return "\n".join(parts)


def _directive(thing: object) -> str | None:
    """What documents it; None for a constant, or a type alias, which have no documentation of their own."""
    if inspect.isclass(thing) and thing.__module__.startswith(PACKAGE):
        return "autoclass"
    return "autofunction" if inspect.isfunction(thing) else None


def _one_line(thing: object) -> str:
    """What a constant or alias is: its type where its value is no short text."""
    text = " ".join(repr(thing).split()).replace("`", "")
    return text if len(text) < 100 and " object at " not in text else type(thing).__qualname__
