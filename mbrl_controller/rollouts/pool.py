# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Many episodes on several processes, each with a simulation and a one-threaded model."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import repeat
from types import TracebackType

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import die_with_parent
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeSpec, EpisodeTrajectory


class EpisodePool:
    """Processes that run episodes while it is entered. They start with the first episodes, which takes seconds, and
    serve any number of specs. With one process, episodes run in this one."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._executor: ProcessPoolExecutor | None = None
        if processes > 1:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin)

    def __enter__(self) -> EpisodePool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=kind is not None)

    def run(self, spec: EpisodeSpec, seeds: Sequence[int]) -> Iterator[EpisodeTrajectory]:
        """The episodes of `seeds`, in their order. Raises MbrlError, for a bad spec at once."""
        runner = EpisodeRunner(spec)  # a bad spec fails here, and not in every worker
        if self._executor is None:
            return (runner.run(seed) for seed in seeds)
        return _guarded(self._executor.map(_run, repeat(spec), seeds))


def _guarded(episodes: Iterator[EpisodeTrajectory]) -> Iterator[EpisodeTrajectory]:
    """`episodes`, with a reason in place of what Python says of a script whose main work is not guarded."""
    try:
        yield from episodes
    except BrokenProcessPool as error:
        raise MbrlError(
            "the processes that run episodes ended: a script that uses several (processes=1 uses none) "
            'must keep its own work below `if __name__ == "__main__":`'
        ) from error


_runner: EpisodeRunner | None = None  # in a worker: of the spec that it ran last


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends the pool
    die_with_parent(signal.SIGKILL)  # a killed parent cannot end them: they would wait for ever


def _run(spec: EpisodeSpec, seed: int) -> EpisodeTrajectory:
    global _runner
    if _runner is None or _runner.spec != spec:
        _runner = EpisodeRunner(spec)
    return _runner.run(seed)
