# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Files that are never seen half written."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import MbrlError


def write_atomically(path: Path, content: bytes, to_disk: bool = True) -> None:
    """Put `content` at `path` in one step: a reader, or a crash, sees the old file or the new one.

    `to_disk`: so does who comes after a power cut; it takes milliseconds. Raises OSError; the old file is intact then.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if to_disk:
                os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write a report in one step; NaN and infinity become null. Raises MbrlError where it cannot be written."""
    text = json.dumps(_without_nan(report), indent=2, allow_nan=False) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise MbrlError(f"{path}: cannot be written: {error.strerror}") from error


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
