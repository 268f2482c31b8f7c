# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Pairs of episodes on the same seeds, in memory and from two reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.rollouts.comparison import compare_reports, paired


def episodes(values, dropped: int = 0, first: int = 0) -> dict:
    return {
        "seed": list(range(first, first + len(values))),
        "return": [float(v) for v in values],
        "kept": [i >= dropped for i in range(len(values))],
        "turns": [2.0 * v for v in values],
        "error": [None] * len(values),
    }


@pytest.fixture
def base() -> np.ndarray:
    return np.random.default_rng(0).normal(size=40) * 100  # seeds differ far more than what is compared


def test_pairs_are_compared_seed_by_seed(base: np.ndarray) -> None:
    figures = paired(episodes(base), episodes(base + 0.5, dropped=3), ("fp32", "int8"))
    assert figures["return_difference"] == pytest.approx(0.5)
    assert figures["return_difference_ci95"] == pytest.approx((0.5, 0.5))
    assert figures["turns_difference"] == pytest.approx(1.0)
    assert "error_difference" not in figures
    assert (figures["only_fp32_kept"], figures["only_int8_kept"]) == (3, 0)


def report(file: Path, **columns) -> Path:
    file.write_text(json.dumps({"task": "valve", "per_episode": columns}))
    return file


def test_reports_are_compared_with_the_first(tmp_path: Path, base: np.ndarray) -> None:
    gains = {"a": 0, "b": 1, "c": -2}
    files = [report(tmp_path / f"{name}.json", **episodes(base + gain)) for name, gain in gains.items()]
    rows = compare_reports(files[0], files[1:])
    assert [row["report"] for row in rows] == [str(file) for file in files[1:]]
    assert [row["return_difference"] for row in rows] == [pytest.approx(1.0), pytest.approx(-2.0)]
    assert [row["episodes"] for row in rows] == [40, 40]
    assert rows[0]["only_first_kept"] == rows[0]["only_this_kept"] == 0


def test_what_cannot_be_paired_is_refused_with_its_file(tmp_path: Path, base: np.ndarray) -> None:
    good = report(tmp_path / "good.json", **episodes(base))
    with pytest.raises(MbrlError, match=r"40 from 0 and 40 from 7"):
        compare_reports(good, [report(tmp_path / "later.json", **episodes(base, first=7))])
    with pytest.raises(MbrlError, match=r"old.json.*mbrl evaluate --json"):
        compare_reports(good, [report(tmp_path / "old.json")])
    with pytest.raises(MbrlError, match=r"short.json.*unequal"):
        compare_reports(good, [report(tmp_path / "short.json", **(episodes(base) | {"kept": [True]}))])
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"task": "baoding", "per_episode": episodes(base)}))
    with pytest.raises(MbrlError, match=r"other.json: of task baoding"):
        compare_reports(good, [other])
    with pytest.raises(MbrlError, match=r"none.json: cannot be read"):
        compare_reports(good, [tmp_path / "none.json"])
