# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which engine runs pieces of work, and what Ray makes of errors, killed workers and an early end."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbrl_controller.base.engine import workers
from mbrl_controller.base.errors import EpisodeError, MbrlError


def double(number: int) -> int:
    return 2 * number


def refuse_three(number: int) -> int:
    if number == 3:
        raise EpisodeError("three is refused")
    return number


def die_once(job: tuple[Path, int]) -> int:
    """Kills its worker, as the kernel does when memory ends, the first time that it has an odd number."""
    marks, number = job
    mark = marks / str(number)
    if number % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_always(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("name", ["", "Ray", "ray:1234", "ray://", "ray://host", "http://host:1"])
def test_an_unknown_engine_is_refused(name: str) -> None:
    with pytest.raises(MbrlError, match="ray://HOST:PORT"):
        workers(double, 1, name)


def test_processes_are_the_default() -> None:
    with workers(double) as pool:
        assert list(pool.results([1, 2])) == [2, 4]


@pytest.mark.parametrize(("on", "environment"), [("ray", "127.0.0.1:9"), ("ray://127.0.0.1:9", "")])
def test_a_cluster_that_is_not_there_is_named(on: str, environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    if ray.is_initialized():
        pytest.skip("there is one")
    monkeypatch.setenv("RAY_ADDRESS", environment)
    pool = workers(double, 1, on)
    with pytest.raises(MbrlError, match=r"127\.0\.0\.1:9"):
        pool.__enter__()


@pytest.mark.parametrize("failures", [2, 3])
def test_a_head_that_fails_to_serve_a_client_is_asked_again(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    ray_pool = pytest.importorskip("mbrl_controller.base.ray_pool")
    asked: list[str] = []

    def init(address: str, **options: object) -> None:
        asked.append(address)
        if len(asked) <= failures:
            raise ConnectionAbortedError("Initialization failure from server:\nTraceback\n\nRuntimeError: it ended")

    monkeypatch.setattr(ray_pool, "_reach", lambda address: None)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    pool = workers(double, 1, "ray://head:1")
    if failures < 3:
        pool.__enter__()
    else:
        with pytest.raises(MbrlError, match="ray://head:1: Initialization failure from server: RuntimeError: it ended"):
            pool.__enter__()
    assert asked == ["ray://head:1"] * 3


def test_work_after_the_cluster_was_lost_is_an_error_and_starts_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    if ray.is_initialized():
        pytest.skip("there is one")
    ray_pool = pytest.importorskip("mbrl_controller.base.ray_pool")
    with pytest.raises(MbrlError, match="lost"):
        next(ray_pool.RayPool(double, 1, "ray").results([1]))
    with pytest.raises(MbrlError, match="lost"):
        ray_pool.store(b"model")
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not have the tests
    with workers(double, 2, "ray"):  # the tests join it
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
class TestRay:
    def test_results_come_in_the_order_of_the_jobs_which_may_have_no_end(self) -> None:
        with workers(double, 2, "ray") as pool:
            assert list(itertools.islice(pool.results(itertools.count()), 20)) == [2 * n for n in range(20)]
            assert list(pool.results([])) == []

    def test_what_the_work_raises_is_raised_here(self) -> None:
        with workers(refuse_three, 2, "ray") as pool, pytest.raises(EpisodeError, match="three is refused"):
            list(pool.results(range(9)))

    def test_a_killed_workers_job_runs_again(self, tmp_path: Path) -> None:
        with workers(die_once, 2, "ray") as pool:
            assert list(pool.results((tmp_path, n) for n in range(4))) == [0, 1, 2, 3]
        assert len(list(tmp_path.iterdir())) == 2

    def test_a_job_that_always_kills_its_worker_ends_with_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mbrl_controller.base.ray_pool.RETRIES", 1)
        with workers(die_always, 2, "ray") as pool, pytest.raises(MbrlError, match="--resume"):
            list(pool.results([1]))
