# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How much episodes count in training: old ones against new ones, or those of one hand against another's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.base.resources import user_path
from mbrl_controller.training.dataset import episode_files


def parse_weights(pairs: Iterable[str]) -> dict[Path, float]:
    """Weights given as PATH=NUMBER; raises DatasetError for what is not of this form."""
    found = {}
    for pair in pairs:
        path, equals, number = pair.rpartition("=")
        try:
            found[user_path(path)] = float(number)
        except ValueError:
            equals = ""
        if not (equals and path):
            raise DatasetError(f"--weight {pair}: expected PATH=NUMBER, such as episodes/old=0.3")
    return found


def file_weights(asked: Mapping[Path, float], files: Sequence[Path]) -> dict[str, float]:
    """The weight of each of `files` that has another than 1, by its resolved path.

    Args:
        asked: file or folder -> weight of the rows of all episodes there; the last one that fits counts.
        files: to learn from.

    Raises:
        DatasetError: a weight cannot be one, or is of no episode.
    """
    read = {path.resolve() for path in files}
    found: dict[str, float] = {}
    for place, weight in asked.items():
        if not (math.isfinite(weight) and weight > 0):
            raise DatasetError(f"weight of {place}: above 0 and finite, not {weight:g}")
        own = {path.resolve() for path in episode_files([place])} & read
        if not own:
            raise DatasetError(f"weight of {place}: none of the episodes to learn from is there")
        found |= {str(path): weight for path in own}
    return {path: found[path] for path in sorted(found) if found[path] != 1.0}
