# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Many episodes on several processes or machines, each with a simulation and a one-threaded model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from types import TracebackType
from typing import Any

from mbrl_controller.base.engine import PROCESSES, workers
from mbrl_controller.base.worker_pool import Workers
from mbrl_controller.rollouts.carried_files import Handles, store_files, with_local_files
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeSpec, EpisodeTrajectory

Job = tuple[EpisodeSpec, int, Handles | None]  # and the seed; and files to fetch, None: they are on this machine


class EpisodePool:
    """Workers that run episodes while it is entered. They start with the first episodes, which takes seconds, and
    serve any number of specs. With one process, episodes run in this one."""

    def __init__(self, processes: int, on: str = PROCESSES) -> None:
        """Raises MbrlError for an unknown engine.

        Args:
            processes: of this machine.
            on: the engine, as in base/engine.py.
        """
        self.processes = processes
        self._here = on == PROCESSES
        self._workers: Workers[Job, EpisodeTrajectory] = workers(_run, processes, on)
        self._stored: dict[str, Any] = {}

    def __enter__(self) -> EpisodePool:
        self._workers.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._workers.__exit__(kind, error, at)
        self._stored.clear()

    def run(self, spec: EpisodeSpec, seeds: Sequence[int]) -> Iterator[EpisodeTrajectory]:
        """The episodes of `seeds`, in their order. Raises MbrlError, for a bad spec at once."""
        runner = EpisodeRunner(spec)  # a bad spec fails here, and not in every worker
        if self._here and self.processes <= 1:
            return (runner.run(seed) for seed in seeds)
        handles = None if self._here else store_files(spec, self._stored)
        return self._workers.results(zip(repeat(spec), seeds, repeat(handles), strict=False))


_runner: tuple[EpisodeSpec, EpisodeRunner] | None = None  # in a worker: of the spec that it ran last


def _run(job: Job) -> EpisodeTrajectory:
    global _runner
    spec, seed, handles = job
    if _runner is None or _runner[0] != spec:
        _runner = spec, EpisodeRunner(spec if handles is None else with_local_files(spec, handles))
    return _runner[1].run(seed)
