# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Checks a model file in a separate process first, so that a file that needs gigabytes, crashes the runtime or never
finishes cannot harm the process that controls a hand. The same process can time the file.

`python -m mbrl_controller.models.sandbox` is that process; it reads the file's content from standard input.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from typing import Literal

import numpy as np

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadKind
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.onnx_heads import HEADS
from mbrl_controller.models.onnx_validation import validate_onnx

MEMORY_BYTES = 1 << 30  # in addition to the libraries'
CPU_S = 20
PATIENCE_S = 60.0  # wall-clock time, on a busy machine
REFUSED = 3
REPEATS, MOST_REPEATS = 5, 100  # rollouts that are timed: more of short ones
TIMED_S = 0.2  # of processor time, that short rollouts take together
MOST_TIMED = 20_000  # steps of a timed rollout (candidates times horizon); larger plans take proportionally longer


FileKind = Literal["model"] | HeadKind


def check_in_sandbox(file: ModelFile, candidates: int, horizon: int, kind: FileKind = "model") -> None:
    """Load `file` and predict once at this size in a separate process; raises ModelError with the reason it failed.

    A head is evaluated for `candidates` times `horizon` states.
    """
    _run(file, candidates, horizon, timed=False, kind=kind)


def time_in_sandbox(file: ModelFile, candidates: int, horizon: int) -> float:
    """`check_in_sandbox`, and then the processor time (s) of one rollout on one thread, the mean of some.

    Of at most MOST_TIMED steps: fewer candidates are timed where the plan has more.
    """
    said = _run(file, candidates, horizon, timed=True)
    try:
        seconds = float(said)
    except ValueError as error:
        raise ModelError(f"{file.path}: its check printed no time: {said[:100]!r}") from error
    if not 0 < seconds < np.inf:
        raise ModelError(f"{file.path}: its check measured no time: {seconds:g} s")
    return seconds


def _run(file: ModelFile, candidates: int, horizon: int, timed: bool, kind: FileKind = "model") -> str:
    """What the separate process printed."""
    validate_onnx(file.content, file.path)
    numbers = (str(number) for number in (candidates, horizon, int(timed)))
    command = [sys.executable, "-m", "mbrl_controller.models.sandbox", str(file.path), *numbers, kind]
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
    return done.stdout.decode(errors="replace")


def main(path: str, candidates: int, horizon: int, timed: int = 0, kind: str = "model") -> int:
    """Run the check in this process, within limits; the exit status. If it is `timed`, prints `time_in_sandbox`."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # not the controller's priority
    limit = _data_bytes() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        file = ModelFile.of(path, sys.stdin.buffer.read())
        if kind != "model":
            HEADS[kind].load(file).warm_up(candidates * horizon, repeats=1)  # type: ignore[index]
            return 0
        model = OnnxEnsemble.load(file)
        model.warm_up(candidates, horizon, repeats=1)
        if timed:
            print(_seconds(model, min(candidates, max(1, MOST_TIMED // horizon)), horizon))
    except ModelError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except Exception as error:  # the runtime's, or a lack of memory
        print(f"{path}: it cannot be run: {' '.join(str(error).split())[:300] or 'no memory'}", file=sys.stderr)
        return REFUSED
    return 0


def _seconds(model: OnnxEnsemble, candidates: int, horizon: int) -> float:
    """Processor time of a rollout; never 0, whatever the clock says."""
    began, spent, count = time.process_time(), 0.0, 0
    while count < REPEATS or (spent < TIMED_S and count < MOST_REPEATS):
        model.warm_up(candidates, horizon, repeats=1)
        spent, count = time.process_time() - began, count + 1
    return max(spent, 1e-6) / count


def _data_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
