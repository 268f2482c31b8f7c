# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Work on several processes: in order, without end, and with a reason where a process dies."""

from __future__ import annotations

import itertools
import os
import signal

import pytest

from mbrl_controller.base.errors import DatasetError, MbrlError
from mbrl_controller.base.worker_pool import WorkerPool


def square(number: int) -> int:
    if number == 13:
        raise DatasetError("thirteen")
    if number == 99:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def test_results_come_in_order_and_as_many_as_are_asked_for() -> None:
    for processes in (1, 2):
        with WorkerPool(square, processes) as pool:
            assert list(itertools.islice(pool.results(itertools.count()), 9)) == [n * n for n in range(9)]


def test_an_error_of_the_work_arrives_as_it_is_and_a_dead_process_is_told() -> None:
    with WorkerPool(square, 2) as pool, pytest.raises(DatasetError, match="thirteen"):
        list(pool.results([1, 13]))
    with WorkerPool(square, 2) as pool, pytest.raises(MbrlError, match="--resume"):
        list(pool.results([1, 99]))
