# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Other work for a machine: processes that multiply matrices, one thread each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import ONE_THREAD


@contextmanager
def burners(count: int, niceness: int = 0) -> Iterator[list[subprocess.Popen[bytes]]]:
    """`count` processes at full load while the block runs; `niceness` up to 19 makes them yield to others."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            command = [sys.executable, "-m", "mbrl_controller.stack.cpu_load", str(niceness), str(os.getpid())]
            environment = {**os.environ, **ONE_THREAD}
            # Ctrl-C is for the parent, which then ends them.
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True))
        for process in processes:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise MbrlError("a process that should load the machine did not start")
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def main() -> None:
    """One of the processes; ends with the parent at the latest."""
    import numpy as np

    niceness, parent = int(sys.argv[1]), int(sys.argv[2])
    if niceness:
        os.nice(niceness)
    matrix = np.random.default_rng(0).standard_normal((256, 256)) / 16
    result = np.empty_like(matrix)
    print("busy", flush=True)
    while os.getppid() == parent:
        for _ in range(100):
            np.matmul(matrix, matrix, out=result)


if __name__ == "__main__":
    main()
