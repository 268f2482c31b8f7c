# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a process takes is what the system says, and a trend is told from scatter."""

from __future__ import annotations

import math
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.stack.resource_usage import resource_usage, trend


def test_threads_files_and_memory_are_seen_to_come() -> None:
    before = resource_usage(os.getpid())
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    block = bytearray(os.urandom(1 << 20) * 64)  # touched, so resident
    with open(os.devnull) as file:
        after = resource_usage(os.getpid())
        assert not file.closed
    leave.set()
    thread.join()
    assert after.threads == before.threads + 1
    assert after.files == before.files + 1
    assert after.rss_mib - before.rss_mib > 48
    assert after.pss_mib - before.pss_mib > 48
    assert after.pss_mib <= after.rss_mib
    assert len(block) == 64 << 20


def test_a_process_that_is_gone_is_an_error_with_its_number() -> None:
    with pytest.raises(MbrlError, match=r"process 4194305"):
        resource_usage(4_194_305)  # one more than Linux gives


@given(st.floats(-50, 50), st.floats(0, 500), st.integers(10, 200))
def test_a_straight_line_is_found_in_units_per_hour(slope: float, begin: float, count: int) -> None:
    times = [10.0 * i for i in range(count)]
    found = trend(times, [begin + slope * t / 3600 for t in times])
    assert found.slope == pytest.approx(slope, abs=1e-6)
    assert found.spread == pytest.approx(0.0, abs=1e-6)
    assert found.end == pytest.approx(begin + slope * times[-1] / 3600, abs=1e-6)


def test_growth_counts_once_it_exceeds_the_scatter() -> None:
    times = [10.0 * i for i in range(360)]  # an hour
    scatter = [(-1.0) ** i for i in range(360)]
    for slope, verdict in ((0.5, "steady"), (20.0, "grows"), (-20.0, "shrinks")):
        assert (
            trend(times, [100 + slope * t / 3600 + s for t, s in zip(times, scatter, strict=True)]).verdict == verdict
        )


def test_what_grows_while_it_warms_up_only_is_steady() -> None:
    times = [float(i) for i in range(100)]
    found = trend(times, [min(i, 15) + 100.0 + 0.01 * (-1) ** i for i in range(100)])
    assert found.verdict == "steady"
    assert found.begin == pytest.approx(115.0, abs=0.1)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_of_few_samples_nothing_is_said(count: int) -> None:
    found = trend([1.0] * count, [2.0] * count)
    assert math.isnan(found.slope)
    assert found.verdict == "too short to tell"
