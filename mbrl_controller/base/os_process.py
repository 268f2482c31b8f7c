# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a process asks of the operating system: how many cores it may use, and to end with its parent."""

from __future__ import annotations

import ctypes
import os
import signal

# Environment of a child whose libraries compute on one thread: several processes share the cores.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def usable_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))


def die_with_parent(number: int = signal.SIGINT) -> None:
    """In the child: if the parent is killed, the kernel sends the child the signal `number`."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)
