# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Transition sets: what is refused, what follows what, and a split that never moves an episode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics import data as data_module
from mbrl_controller.dynamics.data import TransitionSet, parts_of, robust_scale


def make(lengths: list[int], keys: list[str] | None = None, seed: int = 0) -> TransitionSet:
    """Episodes of these lengths with random values: state [T, 3], action [T, 2]."""
    T = sum(lengths)
    rng = np.random.default_rng(seed)
    return TransitionSet(
        rng.normal(size=(T, 3)),
        rng.normal(size=(T, 2)),
        rng.normal(size=(T, 3)),
        np.repeat(np.arange(len(lengths)), lengths),
        np.concatenate([np.arange(n) for n in lengths] or [[]]),
        tuple(keys or [f"ep{i}" for i in range(len(lengths))]),
    )


def test_a_non_finite_value_is_refused_with_its_episode_row_and_entry() -> None:
    good = make([4, 4])
    state = good.state.copy()
    state[6, 1] = np.nan
    with pytest.raises(DatasetError, match=r"'ep1': state\[1\] is nan in row 6 \(step 2\); 1 such"):
        TransitionSet(state, good.action, good.next_state, good.episode, good.step, good.episode_keys)


@pytest.mark.parametrize("field", ["state", "action", "next_state", "episode", "step"])
def test_arrays_of_different_length_are_refused(field: str) -> None:
    good = make([5])
    values = {name: getattr(good, name) for name in ("state", "action", "next_state", "episode", "step")}
    values[field] = values[field][:-1]
    with pytest.raises(DatasetError):
        TransitionSet(**values, episode_keys=good.episode_keys)


def test_arrays_cannot_be_changed_from_outside() -> None:
    source = make([3])
    state = np.zeros((3, 3))
    data = TransitionSet(state, source.action, source.next_state, source.episode, source.step, source.episode_keys)
    state[:] = 9.0
    assert not data.state.any()
    with pytest.raises(ValueError, match="read-only"):
        data.state[0] = 1.0


def test_too_little_says_what_there_is_and_what_is_needed() -> None:
    with pytest.raises(DatasetError, match="3 transitions in 1 episodes, need at least 10 transitions in 2"):
        make([3]).require(transitions=10, episodes=2)


def test_the_same_episode_twice_is_refused() -> None:
    with pytest.raises(DatasetError, match="ep0"):
        make([3, 2], ["ep0", "ep0"])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=25), st.floats(0.01, 0.9), st.text(max_size=3))
@settings(deadline=None, max_examples=60)
def test_an_episode_keeps_its_side_when_others_are_added(lengths: list[int], fraction: float, key: str) -> None:
    before: dict[str, str] = {}
    for count in range(1, len(lengths) + 1):
        train, held = make(lengths[:count]).split_by_episode(fraction, key)
        now = dict.fromkeys(train.episode_keys, "train") | dict.fromkeys(held.episode_keys, "held out")
        assert len(now) == sum(n > 0 for n in lengths[:count])
        assert {k: now[k] for k in before} == before
        if len(now) >= 2:
            assert len(train)
            assert len(held)
        before = now


@given(st.integers(2, 39), st.integers(0, 100))
@settings(deadline=None, max_examples=60)
def test_an_episode_keeps_its_side_when_another_is_taken_away_or_put_in(at: int, number: int) -> None:
    """All but the first two: so that neither side is empty, those have their sides by their places."""

    def sides(keys: list[str]) -> dict[str, bool]:
        _, held = make([1] * len(keys), keys).split_by_episode(0.4)
        return {key: key in held.episode_keys for key in keys[2:]}

    keys = [f"claw/{(37 * number + k) % 101:04d}" for k in range(40)]  # in an order that says nothing
    before = sides(keys)
    assert 0 < sum(before.values()) < 38
    without = sides(keys[:at] + keys[at + 1 :])
    assert without == {key: before[key] for key in without}
    more = sides([*keys[:at], "another", *keys[at:]])
    assert {key: side for key, side in more.items() if key != "another"} == before


def test_the_split_takes_about_the_fraction_and_loses_no_row() -> None:
    data = make([2] * 1000)
    train, held = data.split_by_episode(0.2)
    assert 150 < len(held.episode_keys) < 250
    assert not set(train.episode_keys) & set(held.episode_keys)
    both = np.concatenate([train.state, held.state])
    assert np.array_equal(np.sort(both[:, 0]), np.sort(data.state[:, 0]))


def test_another_key_is_another_split() -> None:
    data = make([1] * 100)
    assert data.split_by_episode(0.3, "a")[1].episode_keys != data.split_by_episode(0.3, "b")[1].episode_keys


@given(st.lists(st.integers(0, 6), max_size=6), st.integers(1, 5), st.sets(st.integers(0, 30)))
@settings(deadline=None, max_examples=60)
def test_windows_are_exactly_the_contiguous_runs(lengths: list[int], length: int, lost: set[int]) -> None:
    whole = make(lengths)
    rows = [i for i in range(len(whole)) if i not in lost]
    data = TransitionSet(
        whole.state[rows], whole.action[rows], whole.next_state[rows], whole.episode[rows], whole.step[rows],
        whole.episode_keys,
    )  # fmt: skip
    expected = [
        list(range(i, i + length))
        for i in range(len(rows) - length + 1)
        if all(data.episode[i + j] == data.episode[i] and data.step[i + j] == data.step[i] + j for j in range(length))
    ]
    assert data.windows(length).tolist() == expected


def test_an_episode_of_less_than_one_and_a_half_parts_stays_whole() -> None:
    assert parts_of(np.arange(0), 10, 2) == {}
    assert parts_of(np.arange(14), 10, 2) == {}
    assert {k: rows.tolist() for k, rows in parts_of(np.arange(15), 10, 2).items()} == {
        0: list(range(10)),
        1: [12, 13, 14],
    }
    # A clock that jumped makes no episode long, and no long one slow to divide.
    assert parts_of(np.r_[np.arange(7), 10**12 + np.arange(7)], 10, 2) == {}
    jumped = parts_of(np.r_[np.arange(10), 10**12 + np.arange(10)], 10, 2)
    assert sorted(len(rows) for rows in jumped.values()) == [8, 10]


@given(st.integers(15, 200), st.sets(st.integers(0, 198)), st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_parts_of_a_long_episode_keep_apart_and_follow_from_the_step_alone(T: int, lost: set[int], gap: int) -> None:
    whole = np.arange(T)
    parts = parts_of(whole, 10, gap)
    assert list(parts) == list(range(len(parts)))
    for k, rows in parts.items():
        assert rows[0] == 10 * k + (gap if k else 0)
        assert np.array_equal(rows, np.arange(rows[0], rows[-1] + 1))
        assert (rows[-1] == 10 * k + 9) if k < len(parts) - 1 else (10 * k + 4 <= rows[-1] == T - 1)
    some = np.array([t for t in whole if t not in lost or t == T - 1])
    for k, rows in parts_of(some, 10, gap).items():
        assert set(some[rows]) == set(parts[k]) - (lost - {T - 1})


def test_the_digest_sees_every_field() -> None:
    data = make([3, 2])
    values = {name: getattr(data, name) for name in ("state", "action", "next_state", "episode", "step")}
    digests = {data.digest(), make([3, 2], ["x", "y"]).digest()}
    for name in ("state", "action", "next_state", "step"):
        changed = values | {name: values[name] + (1 if name == "step" else 1e-9)}
        digests.add(TransitionSet(**changed, episode_keys=data.episode_keys).digest())
    assert len(digests) == 6
    assert make([3, 2]).digest() == data.digest()


def test_a_few_falls_do_not_set_the_scale() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10_000, 1)) * 0.01
    values[:30] -= 5.0
    mean, std = robust_scale([values], ["m"])
    assert abs(mean[0]) < 0.002
    assert 0.008 < std[0] < 0.012


def test_still_entries_get_a_floor() -> None:
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(size=(500, 2)), np.full(500, 3.0)])
    _, std = robust_scale([values], ["rad", "rad", "rad"])
    assert 0.005 < std[2] < 0.02
    assert robust_scale([values[:, 2:]], ["rad"])[1][0] == 1.0


def test_the_scale_of_much_data_is_found_entry_by_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(5000, 11)) * np.arange(1, 12)
    units = ["m"] * 5 + ["rad"] * 6
    whole = robust_scale([values], units)
    assert np.array_equal(whole, robust_scale(np.array_split(values, 7), units))
    monkeypatch.setattr(data_module, "WHOLE_VALUES", 100)
    assert np.array_equal(whole, robust_scale([values], units))
    assert np.array_equal(whole, robust_scale(np.array_split(values, 7), units))
