# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What runs many pieces of work: processes on this machine (the default), or Ray, here or on a cluster.

Neither the engine nor the number and pace of its workers changes a result.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.worker_pool import WorkerPool, Workers

Job = TypeVar("Job")
Result = TypeVar("Result")
PROCESSES, RAY = "processes", "ray"
_ADDRESS = re.compile(r"ray://[^\s/:]+:\d+")


def checked_engine(text: str) -> str:
    """`text`, which names an engine: processes, ray, or ray://HOST:PORT; raises MbrlError."""
    if text not in (PROCESSES, RAY) and not _ADDRESS.fullmatch(text):
        raise MbrlError(f"engine {text!r}: expected {PROCESSES}, {RAY} or ray://HOST:PORT")
    return text


def workers(work: Callable[[Job], Result], processes: int = 1, on: str = PROCESSES) -> Workers[Job, Result]:
    """A pool that runs `work` while it is entered.

    Args:
        work: a function of a module, from a job to its result; both pass between processes.
        processes: how many on this machine; a cluster that runs already has its own number.
        on: the engine, as `checked_engine` names it.

    Raises:
        MbrlError: there is no such engine.
    """
    if checked_engine(on) == PROCESSES:
        return WorkerPool(work, processes)
    from mbrl_controller.base.ray_pool import RayPool

    return RayPool(work, processes, on)
