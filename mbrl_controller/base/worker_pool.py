# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Pieces of work on several processes, their results in order, so that no result depends on how many processes ran."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import die_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers(Protocol[Job, Result]):
    """Whatever runs pieces of work while it is entered: processes of this machine, or a cluster (base/engine.py)."""

    def __enter__(self) -> Workers[Job, Result]: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def results(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in the order of `jobs`, which may have no end: only a few are begun before theirs is asked for."""
        ...


class WorkerPool(Generic[Job, Result]):
    """Runs `work` on jobs while it is entered; with one process in this one. `work` is a function of a module."""

    def __init__(self, work: Callable[[Job], Result], processes: int = 1) -> None:
        self._work, self._processes = work, max(processes, 1)
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> WorkerPool[Job, Result]:
        if self._processes > 1:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._processes, mp_context=context, initializer=_begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def results(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in the order of `jobs`, which may have no end: only a few are begun before theirs is asked for."""
        if self._executor is None:
            yield from map(self._work, jobs)
            return
        waiting: deque[Future[Result]] = deque()
        left = iter(jobs)
        try:
            while True:
                while len(waiting) < 2 * self._processes and (job := next(left, None)) is not None:
                    waiting.append(self._executor.submit(self._work, job))
                if not waiting:
                    return
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise MbrlError(
                "the processes that work ended, perhaps for want of memory; where a command has --resume, it goes on. "
                "A script that uses several (processes=1 uses none) must keep its own work below "
                '`if __name__ == "__main__":`'
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends the pool
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(signal.SIGKILL)  # a killed parent cannot end them: they would wait for ever
