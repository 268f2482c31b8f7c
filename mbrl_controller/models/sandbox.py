# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Checks a model file in a separate process first, so that a file that needs gigabytes, crashes the runtime or never
finishes cannot harm the process that controls a hand.

`python -m mbrl_controller.models.sandbox` is that process; it reads the file's content from standard input.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.onnx_validation import validate_onnx

MEMORY_BYTES = 1 << 30  # in addition to the libraries'
CPU_S = 20
PATIENCE_S = 60.0  # wall-clock time, on a busy machine
REFUSED = 3


def check_in_sandbox(file: ModelFile, candidates: int, horizon: int) -> None:
    """Load `file` and predict once at this size in a separate process; raises ModelError with the reason it failed."""
    validate_onnx(file.content, file.path)
    command = [sys.executable, "-m", "mbrl_controller.models.sandbox", str(file.path), str(candidates), str(horizon)]
    try:
        done = subprocess.run(command, input=file.content, capture_output=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{file.path}: its check did not end within {PATIENCE_S:.0f} s") from error
    except OSError as error:
        raise ModelError(f"{file.path}: cannot be checked: {error.strerror or error}") from error
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == REFUSED:
        raise ModelError(said)
    if done.returncode:
        last = said.splitlines()[-1][:300] if said else ""
        why = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
        raise ModelError(f"{file.path}: its check ended with {why} {last}".rstrip())


def main(path: str, candidates: int, horizon: int) -> int:
    """Run the check in this process, within limits; the exit status."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # not the controller's priority
    limit = _data_bytes() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        file = ModelFile.of(path, sys.stdin.buffer.read())
        OnnxEnsemble.load(file).warm_up(candidates, horizon, repeats=1)
    except ModelError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except Exception as error:  # the runtime's, or a lack of memory
        print(f"{path}: it cannot be run: {' '.join(str(error).split())[:300] or 'no memory'}", file=sys.stderr)
        return REFUSED
    return 0


def _data_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
