# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Refuses parameter files that are missing or for other nodes. ROS warns at most, and uses the defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import user_path
from mbrl_controller.base.yaml_text import load_yaml

PARAMETERS = "ros__parameters"


def existing_path(argument: str, text: str) -> Path:
    """The file or folder that a launch argument gives; raises MbrlError naming both where it is not there."""
    try:
        path = user_path(text)
    except MbrlError as error:
        raise MbrlError(f"launch argument {argument}: {error}") from error
    if not path.exists():
        raise MbrlError(f"launch argument {argument}: {path}: there is no such file")
    return path


def parameter_file(argument: str, text: str) -> Path:
    """The parameter file that a launch argument gives; raises MbrlError where it is not there or no such file."""
    path = existing_path(argument, text)
    try:
        for_nodes(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MbrlError(f"launch argument {argument}: {path}: {reason}") from error
    return path


def check_concerns(argument: str, path: Path, node: str) -> None:
    """Raises MbrlError unless something in the file is for `node`, which is a full name such as /left/controller."""
    names = for_nodes(path)
    if not any(matches(name, node) for name in names):
        has = f"it is for {', '.join(names)}" if names else "it is empty"
        raise MbrlError(f"launch argument {argument}: {path}: nothing in it is for {node}; {has}")


def for_nodes(path: Path) -> list[str]:
    """Node names and patterns in a parameter file, in full; raises OSError, or ValueError where it is none."""
    document = load_yaml(path.read_text(encoding="utf-8"))
    if document is None:
        return []
    if not isinstance(document, Mapping):
        raise ValueError("no parameter file: expected node names with ros__parameters below")
    return list(_names(document, ""))


def matches(pattern: str, node: str) -> bool:
    """Whether a name in a parameter file is `node`'s; * stands for one part of it and ** for any number."""
    parts = {"*": "/[^/]+", "**": "(?:/[^/]+)*"}
    expression = "".join(parts.get(part, "/" + re.escape(part)) for part in pattern.split("/") if part)
    return re.fullmatch(expression, node) is not None


def _names(entries: Mapping[Any, Any], above: str) -> Iterator[str]:
    for key, value in entries.items():
        if key == PARAMETERS:
            yield above or "/"
        elif isinstance(value, Mapping):
            yield from _names(value, f"{above}/{str(key).strip('/')}")
