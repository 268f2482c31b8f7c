# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the figures were measured on."""

from __future__ import annotations

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
        "cpu": _cpu_model(),
        "cores_usable": usable_cores(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
        "load_average": list(os.getloadavg()),
    }


def _cpu_model() -> str:
    """The first model name in /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or "unknown"
