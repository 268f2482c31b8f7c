# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where what can be made again is kept: MBRL_CACHE, else cache/ below `home_dir`; MBRL_CACHE=off for nowhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import home_dir, user_path

CACHE_VARIABLE, LIMIT_VARIABLE = "MBRL_CACHE", "MBRL_CACHE_GIB"
OFF = "off"
DEFAULT_LIMIT_GIB = 20.0


def cache_dir() -> Path | None:
    """The folder, which may not exist yet; None where nothing is to be kept. Raises MbrlError as `home_dir` does."""
    given = os.environ.get(CACHE_VARIABLE, "")
    if given == OFF:
        return None
    return user_path(given).absolute() if given else home_dir() / "cache"


def cache_limit() -> int:
    """The largest size of the cache (bytes): MBRL_CACHE_GIB, else 20 GiB. Raises MbrlError for what is no size."""
    given = os.environ.get(LIMIT_VARIABLE, "")
    try:
        limit = float(given) if given else DEFAULT_LIMIT_GIB
        if not 0 <= limit < 2**20:
            raise ValueError
    except ValueError as error:
        raise MbrlError(f"{LIMIT_VARIABLE}={given}: a size in GiB, such as 20") from error
    return int(limit * 2**30)


def scratch_dir() -> Path:
    """A folder for files without a name, which last as long as their process; raises OSError where there is none."""
    try:
        folder = cache_dir()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    except (MbrlError, OSError):
        pass
    return Path(tempfile.gettempdir())
