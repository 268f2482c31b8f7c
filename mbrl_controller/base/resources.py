# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where the package's data (config, launch, models, sim) lies: in a checkout, a colcon install or a pip install."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from mbrl_controller.base.errors import MbrlError

PACKAGE = "mbrl_controller"
HOME_VARIABLE = "MBRL_HOME"
NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
SET_HOME = f"set {HOME_VARIABLE} to a folder that can be written to"


def share_dir() -> Path:
    """The folder holding config/, models/, sim/ and launch/.

    A checkout comes first so that an edited YAML is the one in use; then the prefixes that ROS lists, then Python's.
    """
    checkout = checkout_dir()
    if checkout is not None:
        return checkout
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    for prefix in [*prefixes, Path(sys.prefix), Path(sys.base_prefix)]:
        share = prefix / "share" / PACKAGE
        if (share / "package.xml").is_file():
            return share
    raise MbrlError(f"{PACKAGE}: data files not found; installed without its share/ folder?")


def checkout_dir() -> Path | None:
    """The checkout that this code lies in; None where it was installed."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "package.xml").is_file() else None


def home_dir() -> Path:
    """Where this user's own models, episodes and runs are kept: MBRL_HOME, else ~/.mbrl.

    Raises MbrlError where there is no such place; whether it can be written to shows when it is.
    """
    given = os.environ.get(HOME_VARIABLE)
    try:
        folder = Path(given).expanduser() if given else Path.home() / ".mbrl"
    except RuntimeError as error:  # no HOME, and a user without an entry in /etc/passwd
        where = f"{HOME_VARIABLE}={given}" if given else "HOME is not set"
        raise MbrlError(f"no folder for models, episodes and runs: {where}: {error}; {SET_HOME}") from error
    try:
        is_none = folder.exists() and not folder.is_dir()
    except OSError as error:  # a name too long, or a folder above it that may not be entered
        raise MbrlError(f"{folder}: {error.strerror}; {SET_HOME}") from error
    if is_none:
        raise MbrlError(f"{folder}: is a file, not a folder; {SET_HOME}")
    return folder


def write_hint(error: OSError) -> str:
    """What to add to a complaint about a file: where `home_dir` is the fault, how another folder is chosen."""
    if error.errno not in NOT_ALLOWED or not isinstance(error.filename, str):
        return ""
    try:
        return f"; {SET_HOME}" if Path(error.filename).absolute().is_relative_to(home_dir()) else ""
    except (MbrlError, ValueError):
        return ""


def user_path(text: str) -> Path:
    """A path as a person gives it, with ~ as the home folder; raises MbrlError where that is nobody's."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise MbrlError(f"{text!r}: {error}") from error
