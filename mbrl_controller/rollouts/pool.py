# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Many episodes on several processes, each with a simulation and a one-threaded model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from types import TracebackType

from mbrl_controller.base.worker_pool import WorkerPool
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeSpec, EpisodeTrajectory

Job = tuple[EpisodeSpec, int]  # and the seed


class EpisodePool:
    """Processes that run episodes while it is entered. They start with the first episodes, which takes seconds, and
    serve any number of specs. With one process, episodes run in this one."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._workers: WorkerPool[Job, EpisodeTrajectory] = WorkerPool(_run, processes)

    def __enter__(self) -> EpisodePool:
        self._workers.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._workers.__exit__(kind, error, at)

    def run(self, spec: EpisodeSpec, seeds: Sequence[int]) -> Iterator[EpisodeTrajectory]:
        """The episodes of `seeds`, in their order. Raises MbrlError, for a bad spec at once."""
        runner = EpisodeRunner(spec)  # a bad spec fails here, and not in every worker
        if self.processes <= 1:
            return (runner.run(seed) for seed in seeds)
        return self._workers.results(zip(repeat(spec), seeds, strict=False))


_runner: EpisodeRunner | None = None  # in a worker: of the spec that it ran last


def _run(job: Job) -> EpisodeTrajectory:
    global _runner
    spec, seed = job
    if _runner is None or _runner.spec != spec:
        _runner = EpisodeRunner(spec)
    return _runner.run(seed)
