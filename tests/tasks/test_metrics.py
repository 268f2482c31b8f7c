# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a task measures: figures over episodes, declarations that cannot be used, and the fields of earlier releases."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.deprecated import RenamedWarning
from mbrl_controller.base.plugins import PluginError
from mbrl_controller.tasks.catalog import TASKS
from mbrl_controller.tasks.metrics import (
    EpisodeMetrics,
    Metric,
    check_specs,
    figures,
    measured,
    specs_as_data,
    specs_in,
    texts,
)
from mbrl_controller.tasks.valve import Valve

TILT = Metric("tilt", "deg", "down", (10.0, 20.0), decimals=1)
COUNT = Metric("goals", "", "up", (2.0,))


def episode(dropped: bool = False, **values: float) -> EpisodeMetrics:
    return EpisodeMetrics(episode_return=-1.0, time_kept=2.0, dropped=dropped, goal_reached=False, values=values)


def test_levels_count_in_the_direction_that_is_better() -> None:
    episodes = [episode(tilt=5.0, goals=1.0), episode(tilt=10.0, goals=2.0), episode(tilt=20.1, goals=3.0)]
    found = figures((TILT, COUNT), episodes)
    assert found == pytest.approx(
        {"tilt_median": 10.0, "success_10": 2 / 3, "success_20": 2 / 3, "goals_median": 2.0, "success_2": 2 / 3}
    )


def test_a_drop_is_no_success_and_no_value_is_none() -> None:
    assert figures((TILT,), [episode(dropped=True, tilt=1.0)])["success_10"] == 0
    assert figures((TILT,), [episode(), episode(tilt=math.nan)]) == {"success_10": 0, "success_20": 0}
    assert figures((TILT,), [episode(), episode(tilt=3.0)])["tilt_median"] == 3.0


@given(st.lists(st.tuples(st.booleans(), st.floats(-1e3, 1e3)), min_size=1))
def test_shares_lie_between_none_and_all_and_grow_with_the_tolerance(outcomes: list[tuple[bool, float]]) -> None:
    found = figures((TILT,), [episode(dropped, tilt=value) for dropped, value in outcomes])
    assert 0 <= found["success_10"] <= found["success_20"] <= 1


def test_what_is_not_declared_is_not_lost() -> None:
    seen = [episode(tilt=1.0, wear=2.0)]
    assert [metric.name for metric in measured((TILT,), seen)] == ["tilt", "wear"]
    assert figures((TILT,), seen)["wear_median"] == 2.0
    assert texts((TILT,), seen[0]) == ["tilt 1.0 deg", "wear 2.00"]


def test_declarations_come_back_from_a_report() -> None:
    report = json.loads(json.dumps({"metrics": specs_as_data((TILT, COUNT))}))
    assert specs_in(report) == (TILT, COUNT)
    assert specs_in({}) == ()  # of an earlier release


@pytest.mark.parametrize(
    "faulty",
    [{"name": "Tilt angle"}, {"name": "tilt", "better": "more"}, {"name": "tilt", "levels": (1.0,)}],
    ids=["name", "direction", "levels without direction"],
)
def test_a_faulty_declaration_is_refused(faulty: dict) -> None:
    with pytest.raises(ValueError, match=r"metric"):
        Metric(**faulty)


@pytest.mark.parametrize("specs", [[TILT], (TILT, TILT), (TILT, replace(TILT, name="lean")), ("tilt",)])
def test_figures_have_keys_of_their_own(specs: object) -> None:
    with pytest.raises(ValueError, match="metric_specs"):
        check_specs(specs)


def test_a_task_with_faulty_declarations_is_refused_by_name() -> None:
    class Twice(Valve):
        metric_specs = (TILT, TILT)

    with pytest.raises(PluginError, match=r"valve.*tilt_median"):
        TASKS.add("valve", Twice)


def test_fields_of_earlier_releases_are_values_for_one_release() -> None:
    with pytest.warns(RenamedWarning, match=r"degrees_turned is now values\['degrees_turned'\]"):
        old = EpisodeMetrics(
            episode_return=0.0, time_kept=1.0, dropped=False, goal_reached=True, degrees_turned=90.0,
            goal_error=math.nan, extra={"held": 1.0},
        )  # fmt: skip
    assert old.values == {"degrees_turned": 90.0, "held": 1.0}
    with pytest.warns(RenamedWarning):
        assert old.degrees_turned == 90.0
    with pytest.warns(RenamedWarning):
        assert math.isnan(old.final_goal_error)
    with pytest.raises(TypeError, match="turns"):
        EpisodeMetrics(episode_return=0.0, time_kept=1.0, dropped=False, goal_reached=True, turns=1.0)
    with pytest.raises(AttributeError, match="turns"):
        old.turns


def test_metrics_go_to_other_processes_whole() -> None:
    one = episode(tilt=1.0)
    assert pickle.loads(pickle.dumps(one)) == one
    assert replace(one, episode_return=-2.0).values == {"tilt": 1.0}
