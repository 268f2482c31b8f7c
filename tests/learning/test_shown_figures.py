# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Progress, curves and tables show what the task declares, and of logs of other versions what these hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbrl_controller.cli.progress import line
from mbrl_controller.control.task_config import contract_path
from mbrl_controller.learning.compare import compare_runs, tables
from mbrl_controller.learning.log import Row, read_rows
from mbrl_controller.learning.shown_figures import metrics_of, shown_figures
from mbrl_controller.tasks.baoding import Baoding
from mbrl_controller.tasks.metrics import Metric

RUNS = Path(__file__).resolve().parents[2] / "benchmarks" / "learning"
TILT = Metric("tilt", "deg", "down", (10.0,), decimals=1)


def row(**figures: float) -> Row:
    return Row(step="evaluate", round=1, env_steps=1, robot_minutes=1, wall_s=1, total_s=1, ended="", **figures)


def test_a_metric_has_its_name_its_unit_and_its_levels() -> None:
    shown = line(row(kept_rate=0.5, success_10=0.25, tilt_median=12.34, return_mean=-1.0), (TILT,))
    for part in ("kept 50%", "<=10 deg 25%", "tilt 12.3 deg", "return -1"):
        assert f"  {part}  " in f"{shown}  "


def test_levels_of_two_metrics_are_told_apart() -> None:
    labels = [figure.label for figure in shown_figures((TILT, Metric("lift", "m", "up", (0.1,))))]
    assert "tilt <=10 deg" in labels
    assert "lift >=0.1 m" in labels


def test_what_is_not_drawn_is_recorded_and_not_shown() -> None:
    hidden = Metric("wear", drawn=False)
    assert "wear" not in line(row(wear_median=1.0), (hidden,))
    assert row(wear_median=1.0).figures() == {"wear_median": 1.0}


def test_what_nobody_declares_is_shown_under_its_key() -> None:
    shown = line(row(lean_median=1.5, success_3=0.5))
    assert "lean median 1.500" in shown
    assert "success 3 50%" in shown


def test_logs_of_earlier_releases_are_read_and_shown_alike() -> None:
    rows = read_rows(RUNS / "baoding-seed0" / "log.jsonl")
    assert rows[-1].figures()["success_180"] is not None
    shown = [figure.label for figure in shown_figures(Baoding.metric_specs, rows)]
    assert shown == ["kept", ">=90 deg", ">=180 deg", "goals", "degrees turned", "return"]
    (table,) = tables(compare_runs([RUNS / "baoding-seed0", RUNS / "baoding-seed1"]))
    assert len(table.columns) == 4 + len(shown)


def test_a_figure_is_a_number() -> None:
    with pytest.raises(ValueError, match="tilt_median"):
        row(tilt_median="much")  # type: ignore[arg-type]


def test_metrics_come_from_the_contract_and_none_from_an_unknown_task() -> None:
    text = contract_path("baoding").read_text()
    assert metrics_of(text) == Baoding.metric_specs
    assert metrics_of(text.replace("task: baoding", "task: of_nobody")) == ()
