"""Where the package's data (config, launch, models, sim) lies: in a checkout, a colcon install or a pip install."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mbrl_controller.errors import MbrlError

PACKAGE = "mbrl_controller"


def share_dir() -> Path:
    """The folder holding config/, models/, sim/ and launch/.

    A checkout comes first so that an edited YAML is the one in use; then the prefixes that ROS lists, then Python's.
    """
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "package.xml").is_file():
        return checkout
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    for prefix in [*prefixes, Path(sys.prefix), Path(sys.base_prefix)]:
        share = prefix / "share" / PACKAGE
        if (share / "package.xml").is_file():
            return share
    raise MbrlError(f"{PACKAGE}: data files not found; installed without its share/ folder?")


def home_dir() -> Path:
    """Where this user's own models, episodes and runs are kept: MBRL_HOME, else ~/.mbrl."""
    return Path(os.environ.get("MBRL_HOME") or Path.home() / ".mbrl").expanduser()


def user_path(text: str) -> Path:
    """A path as a person gives it, with ~ as the home folder; raises MbrlError where that is nobody's."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise MbrlError(f"{text!r}: {error}") from error


def config_file(text: str) -> Path:
    """A path as a person gives it, or a file of the package's config/ by its bare name."""
    path = user_path(text)
    # pathlib's own `exists` raises where a name is too long for a file.
    if not path.is_absolute() and not os.path.exists(path) and len(path.parts) == 1:
        return share_dir() / "config" / path
    return path
