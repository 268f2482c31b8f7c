# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Artificial CPU load: processes that multiply matrices, one thread each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import ONE_THREAD


@contextmanager
def cpu_load(count: int, niceness: int = 0) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `count` processes at full load during the block; with `niceness` up to 19 they yield to others."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            command = [sys.executable, "-m", "mbrl_controller.stack.cpu_load", str(niceness), str(os.getpid())]
            environment = {**os.environ, **ONE_THREAD}
            # In a session of their own: Ctrl-C reaches the parent alone, which then ends them.
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True))
        for process in processes:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise MbrlError("a process that should load the CPU did not start")
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def main() -> None:
    """One load process; it ends with its parent."""
    import numpy as np

    niceness, parent = int(sys.argv[1]), int(sys.argv[2])
    if niceness:
        os.nice(niceness)
    matrix = np.random.default_rng(0).standard_normal((256, 256)) / 16
    result = np.empty_like(matrix)
    print("started", flush=True)
    while os.getppid() == parent:
        for _ in range(100):
            np.matmul(matrix, matrix, out=result)


if __name__ == "__main__":
    main()
