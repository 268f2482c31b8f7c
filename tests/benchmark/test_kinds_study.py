# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the study of kinds says of made-up cases whose answers are known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mujoco")

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark.kinds_novelty import auc, lost_within
from mbrl_controller.benchmark.kinds_study import KindsRequest, run
from mbrl_controller.dynamics.data import TransitionSet


def test_the_area_under_the_curve_counts_pairs() -> None:
    positive = np.array([False, False, True, True])
    assert auc(np.array([1.0, 2.0, 3.0, 4.0]), positive) == 1.0
    assert auc(np.array([4.0, 3.0, 2.0, 1.0]), positive) == 0.0
    assert auc(np.array([1.0, 3.0, 2.0, 3.0]), positive) == pytest.approx((0.5 + 0 + 1 + 1) / 4 + 0.0)
    assert np.isnan(auc(np.ones(4), np.zeros(4, dtype=bool)))


def test_a_loss_is_foreseen_within_the_episode_and_unknown_behind_its_end() -> None:
    """Heights of two episodes of four steps; the object is at risk below 0."""
    after = np.array([3.0, 2.0, 1.0, -1.0, 3.0, 2.0, 1.0, 1.0])[:, None]
    before = after + 1
    data = TransitionSet(before, before, after, np.repeat([0, 1], 4), np.tile(np.arange(4), 2), ("a", "b"))
    task = SimpleNamespace(at_risk=lambda state: state[..., 0] < 0)
    rows = np.arange(8)
    lost, known = lost_within(data, task, rows, 1)
    assert lost.tolist() == [False, False, False, True] + [False] * 4
    assert known.all()
    lost, known = lost_within(data, task, rows, 3)
    assert lost.tolist() == [False, True, True, True] + [False] * 4
    assert known.tolist() == [True] * 6 + [False] * 2


def test_the_study_compares_on_episodes_held_out(trained: Path, valve_episodes: Path) -> None:
    options = {"hidden": [8], "max_epochs": 1, "symmetries": False}
    request = KindsRequest(
        "valve",
        ("inverse", "between", "joint"),
        episodes=[valve_episodes],
        seeds=2,
        options=options,
        models_dir=trained,
    )
    figures = run(request)
    assert (figures["episodes"], figures["task"]) == (12, "valve")
    rows = {(row["kind"], row["measure"], row["way"]): row for row in figures["rows"]}
    assert all(np.isfinite(row["mean"]) and row["seeds"] == 2 for row in rows.values())
    assert {way for kind, _, way in rows if kind == "between"} == {
        "model", "reference", "prediction", "prediction to the end", "deviation"
    }  # fmt: skip
    of_mean = rows["inverse", "command, rad", "mean"]["mean"]
    assert rows["inverse", "command, rad", "joints"]["mean"] < of_mean
    assert ("joint", "mean log density", "model") in rows
    assert not any("AUC" in measure for _, measure, _ in rows)  # no valve is lost
    with pytest.raises(MbrlError, match="an interval needs 2"):
        run(KindsRequest("valve", seeds=1))
