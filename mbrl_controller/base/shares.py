# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Folders of data (config/, models/, sim/) that installed packages offer, ours among them."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.plugins import Catalog
from mbrl_controller.base.resources import share_dir, user_path


def _folder(found: Any) -> Path:
    """The folder that an entry point stands for: a path, a function that returns one, or a module beside the data."""
    value = found() if callable(found) else found
    if isinstance(value, ModuleType):
        value = Path(value.__file__ or "").parent
    if not isinstance(value, str | Path):
        raise TypeError(f"it is {type(value).__name__}, not a folder, a function that returns one, or a module")
    folder = Path(value)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    return folder


SHARES: Catalog[Path] = Catalog("mbrl_controller.share", "data folder", _folder)


def shared_files(pattern: str) -> dict[Path, str]:
    """Files that match a pattern such as "sim/*/scene.yaml" in any package's folder, with the package's name."""
    return {path: package for package, folder in SHARES.items() for path in sorted(folder.glob(pattern))}


def shared_file(folder: str, name: str) -> Path | None:
    """The file `name` in the subfolder `folder` of whichever package has it, None where none has.

    Raises MbrlError, which names the packages, where several have one.
    """
    # pathlib's own `is_file` raises where a name is too long for a file.
    found = {
        package: share / folder / name for package, share in SHARES.items() if os.path.isfile(share / folder / name)
    }
    if len(found) > 1:
        raise MbrlError(f"{folder}/{name} is in the packages {' and '.join(found)}: give the whole path")
    return next(iter(found.values()), None)


def config_file(text: str) -> Path:
    """A path as a person gives it, or a file of a package's config/ by its name there, such as hands/leap_v1.yaml.

    What is in neither place stays as it was given, for the error that follows.
    """
    path = user_path(text)
    if path.is_absolute() or os.path.exists(path) or ".." in path.parts:
        return path
    own = share_dir() / "config" / path  # also where nothing of ours is registered
    return shared_file("config", text) or (own if len(path.parts) == 1 and os.path.isfile(own) else path)
