# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Arrays, which have neither names nor stamps, and what a source of format 2 may not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mbrl_controller.base.errors import ContractError, MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.source_reader import STAMP_LABEL, SourceReader
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.source_messages import source_message

from .contract_sources import source

TIPS = {"tip_1.value": 0, "tip_2.value": 4}


def array(values: list[float], label: str = "") -> Any:
    return ros_messages.multi_array(values, [label] if label else (), ros_types.MULTI_ARRAY_32)


def test_named_entries_are_found_and_measured_when_they_are_received() -> None:
    sample = SourceReader(source("array", entries=TIPS)).read(array([1.0, 9, 9, 9, 2.0, 9]), received=12.5)

    assert (sample.stamp, sample.values.tolist()) == (12.5, [1, 2])


def test_an_array_too_short_is_refused_naming_the_entry() -> None:
    with pytest.raises(MessageError, match=r"thing: 4 values, so none for tip_2.value at 4"):
        SourceReader(source("array", entries=TIPS)).read(array([1.0] * 4), received=1.0)


def test_without_a_time_of_receipt_an_array_must_say_its_stamp() -> None:
    reader = SourceReader(source("array", entries=TIPS))

    assert reader.read(array([1.0] * 5, f"{STAMP_LABEL}1500000000")).stamp == 1.5
    for label in ("", f"{STAMP_LABEL}-1", f"{STAMP_LABEL}x", f"{STAMP_LABEL}{'9' * 40}", "x"):
        with pytest.raises(MessageError, match=r"thing: .*has no stamp"):
            reader.read(array([1.0] * 5, label))


@given(
    st.sampled_from([ros_types.MULTI_ARRAY, ros_types.MULTI_ARRAY_32]),
    st.dictionaries(st.sampled_from(["a.value", "b.value", "c.position"]), st.integers(0, 50), min_size=1).filter(
        lambda entries: len(set(entries.values())) == len(entries)
    ),
    st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3),
    st.integers(1, 2**61),
)
def test_what_is_sent_is_read(kind: str, entries: dict[str, int], values: list[float], stamp: int) -> None:
    made = source("array", type=kind, entries=entries)
    sent = np.array(values[: len(entries)])
    sample = SourceReader(made).read(source_message(made, sent, stamp))

    assert sample.values.tolist() == sent.tolist()
    assert sample.stamp == pytest.approx(stamp / 1e9, rel=1e-15)
    assert SourceReader(made).read(source_message(made, sent, stamp, stamped=False), received=3.0).stamp == 3.0


@pytest.mark.parametrize(
    ("kind", "entries", "complaint"),
    [
        ("array", {"entries": {}}, "entries"),
        ("array", {"entries": {"tip": 0}}, "state entry 'tip'"),
        ("array", {"entries": {"tip.value": -1}}, "entries"),
        ("array", {"entries": TIPS, "publishers": "parts"}, "publishers: parts is for joints"),
        ("pose", {"fields": ["velocity"]}, "velocity is made from position"),
        ("tf", {"fields": ["position", "angular_velocity"]}, "angular_velocity is made from orientation"),
        ("pose", {"fields": []}, "fields"),
        ("pose", {"rate_hz": 0.0}, "rate_hz"),
        ("pose", {"transform": "static"}, "transform"),
        ("odometry", {"transform": {"rotation": [0, 0, 0, 2]}}, "rotation: a unit quaternion"),
        ("joints", {"joints": ["a"], "by": "index", "publishers": "parts"}, "by: index"),
        ("joints", {"joints": ["a"], "by": "index", "ignore_unknown": True}, "by: index"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(kind: str, entries: dict[str, Any], complaint: str) -> None:
    with pytest.raises((ValidationError, ContractError), match=complaint):
        source(kind, **entries)
