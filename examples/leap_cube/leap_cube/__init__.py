# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A hand with 16 joints turns a cube: an example of a package of one's own, found through entry points alone."""

from __future__ import annotations

from pathlib import Path


def share_dir() -> Path:
    """The folder with config/ and sim/."""
    return Path(__file__).parent / "share"
