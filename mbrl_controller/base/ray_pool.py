# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Pieces of work on a Ray cluster, their results in order. Ray itself runs again what a dead worker or node had."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from mbrl_controller.base.errors import MbrlError

# Before Ray is imported: it tells nobody that it runs, and starts no cluster of its own where one was lost.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")

import ray
from ray.exceptions import RayError, RayTaskError

Job = TypeVar("Job")
Result = TypeVar("Result")
RETRIES = 5  # of a piece whose worker or node died; one that always kills its worker must end
CLIENT_TRIES = 3
REACH_S = 5.0  # for a connection to the head
WATCH_S = 2.0  # between two looks at the head while a result is awaited
AWAY_VARIABLE, AWAY_S = "RAY_gcs_rpc_server_reconnect_timeout_s", 60.0  # then Ray ends a process without its head
STORE_BYTES = 200 * 1024 * 1024  # of a cluster on this machine alone: episodes are small


class RayPool(Generic[Job, Result]):
    """Runs `work` on jobs while it is entered.

    `ray` starts a cluster of `processes` workers on this machine, or joins the one that RAY_ADDRESS names; with
    `ray://HOST:PORT` this process is a client of the one there. One that is connected already is used as it is.
    """

    def __init__(self, work: Callable[[Job], Result], processes: int, on: str) -> None:
        self._work, self._processes, self._on = work, max(processes, 1), on
        self._own = False
        self._head = ""  # HOST:PORT
        self._answered = 0.0  # when it did last, by the monotonic clock

    def __enter__(self) -> RayPool[Job, Result]:
        if not ray.is_initialized():
            self._connect()
            self._own = True
        client = self._on.startswith("ray://")
        self._head = self._on if client else ray.get_runtime_context().gcs_address
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._own:
            ray.shutdown()

    def results(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in the order of `jobs`, which may have no end: only a few are begun before theirs is asked for.

        Raises MbrlError where the cluster is lost, and whatever `work` raises.
        """
        if not ray.is_initialized():
            raise self._lost("this process is no longer connected")
        call: Any = ray.remote(_call).options(num_cpus=1, max_retries=RETRIES)
        waiting: deque[Any] = deque()
        left = iter(jobs)
        try:
            ahead = 2 * max(1, int(_resources().get("CPU", 1)))
            work = ray.put(self._work)  # once, and not with each job
            while True:
                while len(waiting) < ahead and (job := next(left, None)) is not None:
                    waiting.append(call.remote(work, job))
                if not waiting:
                    return
                yield self._result(waiting.popleft())
        except RayTaskError as error:
            if isinstance(error.cause, Exception):
                raise error.cause from error
            raise
        except ConnectionError as error:
            raise self._lost(_first_line(error)) from error
        except RayError as error:
            raise MbrlError(
                f"the Ray cluster is lost, or a piece of work ended its worker {RETRIES + 1} times; where a command "
                f"has --resume, it goes on: {_first_line(error)}"
            ) from error
        finally:
            for reference in waiting:
                _forget(reference)

    def _result(self, reference: Any) -> Result:
        """What `ray.get` gives; raises MbrlError where the head stays away, before Ray ends this process for it."""
        self._answered = time.monotonic()
        while not ray.wait([reference], timeout=WATCH_S)[0]:
            self._look_at_head()
        found: Result = ray.get(reference)
        return found

    def _look_at_head(self) -> None:
        try:
            _reach(self._head)
            self._answered = time.monotonic()
        except OSError as error:
            away = time.monotonic() - self._answered
            if away > 0.5 * float(os.environ.get(AWAY_VARIABLE, AWAY_S)):  # the rest is for disconnecting
                raise self._lost(f"no answer for {away:.0f} s ({error})") from error

    def _lost(self, why: str) -> MbrlError:
        return MbrlError(
            f"the Ray cluster of {self._head} is lost: {why}. What was taken is kept: once there is a cluster again, "
            "a command with --resume or --session goes on there"
        )

    def _connect(self) -> None:
        """Start or join a cluster; raises MbrlError."""
        address = os.environ.get("RAY_ADDRESS", "") if self._on == "ray" else self._on
        before = signal.getsignal(signal.SIGTERM)
        try:
            if address:
                _reach(address)  # Ray itself tries for minutes
                _join(address)
            else:
                ray.init(
                    num_cpus=self._processes,
                    object_store_memory=STORE_BYTES,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                )
        except (RayError, ConnectionError, OSError, RuntimeError, ValueError, ImportError) as error:
            raise MbrlError(f"no Ray cluster on {address or 'this machine'}: {_first_line(error)}") from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)  # Ray's own would end a run without a checkpoint


def _join(address: str) -> None:
    """`ray.init`; again where the process that the head starts for a client ended at once, as it does now and then."""
    for left in reversed(range(CLIENT_TRIES)):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
            return
        except ConnectionAbortedError:
            if not left:
                raise


def _reach(address: str) -> None:
    """Raises OSError unless something listens at HOST:PORT; other kinds of address are Ray's to find."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()


def _resources() -> dict[str, float]:
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def store(content: bytes) -> Any:
    """Put `content` into the cluster's object store, from where each machine fetches it at most once; a handle.

    Raises MbrlError where the cluster is lost.
    """
    try:
        if ray.is_initialized():
            return ray.put(content)
        raise ConnectionError("this process is no longer connected")
    except (RayError, ConnectionError) as error:
        raise MbrlError(f"the Ray cluster is lost: {_first_line(error)}") from error


def fetch(handle: Any) -> bytes:
    """What `store` put there; for a worker."""
    content: bytes = ray.get(handle)
    return content


def _call(work: Callable[[Job], Result], job: Job) -> Result:
    return work(job)


def _forget(reference: Any) -> None:
    if ray.is_initialized():
        with contextlib.suppress(RayError, ConnectionError, ValueError, TypeError):  # it has ended, or the cluster has
            ray.cancel(reference)


def _first_line(error: BaseException) -> str:
    """An error's first line; with the last one, the reason, where it only announces a trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"{lines[0]} {lines[-1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]
