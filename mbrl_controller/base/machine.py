# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the figures were measured on."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from mbrl_controller.base.os_process import usable_cores


def describe() -> dict[str, Any]:
    """Processor, cores usable, versions, and the load average at this moment (1, 5, 15 min)."""
    return {
        "cpu": _cpu_entry("model name") or platform.processor() or "unknown",
        "cores_usable": usable_cores(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
        "load_average": list(os.getloadavg()),
    }


def processor() -> str:
    """What decides how fast a program runs on this processor, and which instructions it has: its name, and a digest of
    its flags, since virtual machines give many processors one name."""
    parts = (_cpu_entry("vendor_id"), _cpu_entry("cpu family"), _cpu_entry("model\t"), _cpu_entry("flags"))
    features = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
    name = _cpu_entry("model name") or platform.processor() or "unknown"
    return f"{platform.machine()}, {name}, {features}"


def _cpu_entry(key: str) -> str:
    """The first entry of this name in /proc/cpuinfo; empty: there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
