# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Gaps of the sensors are filled where the commands and both ends are known, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mbrl_controller.episodes import export
from mbrl_controller.episodes.bridging import Periods, bridged
from mbrl_controller.episodes.export_writer import ExportOptions
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.episodes.transitions import used_periods


class Straight:
    """A bridge of 4 periods that goes straight; counts the windows that it was asked for."""

    steps = 4

    def __init__(self) -> None:
        self.asked = 0

    def between(self, first: np.ndarray, last: np.ndarray, actions: np.ndarray) -> np.ndarray:
        assert actions.shape[1] == self.steps
        self.asked += len(first)
        share = (np.arange(1, 4) / 4)[:, None]
        return first[:, None] + share * (last - first)[:, None]


def periods(missing: list[int], count: int = 12, usable: np.ndarray | None = None) -> Periods:
    """A state of one number that grows by one a period, of which some, by the point in time, were not measured."""
    points = np.arange(count + 1, dtype=float)[:, None]
    known = np.ones(count + 1, dtype=bool)
    known[missing] = False
    points[missing] = 77.0
    return Periods(
        begin=np.arange(count) * 100,
        end=np.arange(1, count + 1) * 100,
        action=np.zeros((count, 1)),
        before=points[:-1],
        after=points[1:],
        known_before=known[:-1],
        known_after=known[1:],
        usable=np.ones(count, dtype=bool) if usable is None else usable,
    )


@pytest.mark.parametrize("missing", [[5], [5, 6], [5, 6, 7], [2, 6], [1], [11]])
def test_short_gaps_are_filled(missing: list[int]) -> None:
    found, count = bridged(Straight(), periods(missing))
    assert count == len(missing)
    np.testing.assert_allclose(found.before[:, 0], np.arange(12))
    np.testing.assert_allclose(found.after[:, 0], np.arange(1, 13))
    assert found.known_before.all()
    assert found.known_after.all()


@pytest.mark.parametrize("missing", [[5, 6, 7, 8], [0], [12], [0, 1], [0, 4]])
def test_what_no_window_leads_over_stays_open(missing: list[int]) -> None:
    log = periods(missing)
    found, count = bridged(Straight(), log)
    still = [i for i in missing if i > 0 and not found.known_after[i - 1]] + [0] * (0 in missing)
    assert count == len(missing) - len(still)
    assert still
    assert (found.known_before == ~np.isin(np.arange(12), still)).all()


def test_no_window_leads_through_what_may_not_be_used_or_a_break() -> None:
    usable = np.ones(12, dtype=bool)
    usable[[3, 7]] = False
    bridge = Straight()
    assert bridged(bridge, periods([5], usable=usable))[1] == 0
    broken = periods([5])
    broken = replace(broken, end=np.where(np.arange(12) == 5, 590, broken.end))
    assert bridged(bridge, broken)[1] == 1  # from 1 to 5 it is whole
    both = replace(broken, end=np.where(np.arange(12) == 3, 390, broken.end))
    assert bridged(bridge, both)[1] == 0
    assert bridged(bridge, periods([]))[1] == 0
    assert bridged(bridge, periods([], count=2))[1] == 0


def test_an_export_bridges_what_a_sensor_missed(contract, made_up, tmp_path) -> None:
    path = tmp_path / "log" / "episode_0000.mcap"
    states, commands, goals = made_up(contract, 12)
    write_trajectory(path, contract, EpisodeInfo("s", 0, world="real"), states, commands, goals)
    whole = read_episode(path)
    key = next(iter(whole.sources))
    source = whole.sources[key]
    gone = (source.stamps > source.stamps[0] + 450_000_000) & (source.stamps < source.stamps[0] + 650_000_000)
    assert gone.sum() == 2
    gap = replace(
        whole, sources=whole.sources | {key: replace(source, stamps=source.stamps[~gone], values=source.values[~gone])}
    )
    open_, closed = used_periods(gap), used_periods(gap, Straight())
    assert (len(open_), len(closed)) == (9, 12)
    assert (open_.bridged, closed.bridged) == (0, 2)
    assert sum(open_.skipped.values()) == 3
    assert not closed.skipped
    np.testing.assert_allclose(closed.state[[4, 7]], states[[4, 7]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "read_episode", lambda *given: gap)
        report = export.run([path], tmp_path / "out", "csv", options=ExportOptions(bridge=Straight()))
    assert (report.segments, report.frames, report.bridged) == (1, 12, 2)
    assert '"bridged": 2' in (tmp_path / "out" / "columns.json").read_text()
