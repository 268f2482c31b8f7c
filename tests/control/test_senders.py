# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Who sends is told by the numbers of messages alone, whatever is lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.control.senders import HEARD_S, Senders


def counts(numbers: list[int], step: float = 0.01) -> list[int]:
    """How many senders are known of after each message."""
    senders, found = Senders(), []
    for i, number in enumerate(numbers):
        senders.hear(number, i * step)
        found.append(senders.count(i * step))
    return found


@given(start=st.integers(0, 10**6), gaps=st.lists(st.integers(1, 1000), max_size=60))
def test_one_sender_is_one_whatever_is_lost(start: int, gaps: list[int]) -> None:
    assert set(counts(list(itertools.accumulate(gaps, initial=start)))) == {1}


@given(
    first=st.integers(0, 10**6),
    second=st.integers(0, 10**6),
    order=st.lists(st.booleans(), min_size=3, max_size=60),
)
def test_two_senders_are_two_once_each_was_heard_again(first: int, second: int, order: list[bool]) -> None:
    numbers, next_of = [], [first, second]
    for who in order:
        next_of[who] += 1
        numbers.append(next_of[who])
    found = counts(numbers)
    for i in range(len(order)):
        heard = order[: i + 1]
        changes = sum(a is not b for a, b in itertools.pairwise(heard))
        if changes >= 2:  # one, the other, and the first again
            assert found[i] == 2
        if not changes:
            assert found[i] == 1
    assert max(found) <= 2


def test_a_sender_with_lower_numbers_is_noticed_with_its_first_message() -> None:
    assert counts([5000, 5001, 1]) == [1, 1, 2]
    assert counts([7, 7]) == [1, 2]


@pytest.mark.parametrize("numbers", [[5000, 1], [5000, 1, 2, 3]])
def test_who_fell_silent_is_forgotten(numbers: list[int]) -> None:
    """A driver was killed, and another took its place."""
    senders = Senders()
    for i, number in enumerate(numbers):
        senders.hear(number, i * 0.01)
    assert senders.count(0.05) == 2
    senders.hear(10, HEARD_S + 0.02)
    assert senders.count(HEARD_S + 0.02) == 1
