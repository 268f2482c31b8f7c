# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Grids: what a plan may say, and that a grid that was stopped or torn ends in the bytes of one that was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch")

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.learning import compare, grid_run
from mbrl_controller.learning.grid_cell import EPISODES_FILE
from mbrl_controller.learning.grid_plan import GridPlan, read_grid
from mbrl_controller.learning.grid_record import table

from ..trained_valve import TINY

ARMS = [{"name": "long"}, {"name": "short", "set": {"planner.horizon": 2}, "expect": "worse"}]
PLAN: dict[str, Any] = {
    "claim": "A horizon is needed.",
    "task": "valve",
    "from": "version",
    "set": {"planner.num_samples": 8},
    "arms": ARMS,
    "evaluate": {"episodes": 2},
}


def plan_of(folder: Path, source_name: str = "", **changes: Any) -> GridPlan:
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}))
    return read_grid(path, source_name)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (grid_run.RECORD_FILE, grid_run.FIGURE_FILE)}


def stop_after(cells: int) -> tuple[Any, Any]:
    """Callbacks that stop a grid once so many of its cells are done."""
    done: list[str] = []
    return (lambda: len(done) >= cells), (lambda name, finished, total: done.append(name))


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> grid_run.GridResult:
    base = tmp_path_factory.mktemp("grid")
    return grid_run.run(plan_of(base), "acted", runs_dir=base, models_dir=trained, processes=1)


# --- the plan -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"from": "nowhere"}, "from"),
        ({"arms": []}, "arms"),
        ({"arms": [{"name": "a"}, {"name": "a "}]}, "names must differ"),
        ({"arms": [{"name": "a", "expect": "worse"}]}, "compared with the first"),
        ({"arms": [{"name": "a"}, {"name": "b", "expect": "alike"}]}, "margin"),
        ({"arms": [{"name": "a"}, {"name": "b", "set": {"planner.beauty": 1}}]}, "arm 'b'.*beauty"),
        ({"set": {"training.batch": 64}}, "training: changes nothing"),
        ({"seeds": [0, 1]}, "episodes alone repeat"),
        ({"evaluate": {"seed": 100_000}}, "a learning run evaluates"),
        ({"evaluate": {"metric": "beauty"}}, "evaluate.metric"),
        ({"from": "episodes"}, "--from PATH"),
        ({"task": "juggling"}, "juggling"),
    ],
)
def test_what_does_not_fit_is_named_before_anything_runs(
    changes: dict[str, Any], named: str, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(MbrlError, match=named):
        grid_run.run(plan_of(tmp_path, **changes), "g", runs_dir=tmp_path, models_dir=trained, processes=1)
    assert not (tmp_path / "ablate" / "g").exists()


@pytest.mark.parametrize("content", [b"\xff", b"[1, 2]", b"a: [", b""])
def test_a_file_that_is_no_plan_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(MbrlError, match=r"broken\.yaml"):
        read_grid(path)


def test_the_shipped_plans_can_be_run() -> None:
    plans = sorted(Path("benchmarks/ablations").glob("*.yaml"))
    assert len(plans) > 10
    for path in plans:
        plan = read_grid(path, "somewhere" if "from: episodes" in path.read_text() else "")
        cells = grid_run.make_cells(plan.model_copy(update={"seeds": (0,)}), Path("grid"), None)
        assert len({cell.name for cell in cells}) == len(plan.arms) + 1


# --- a version that acts --------------------------------------------------------------------------------------------


def test_arms_are_compared_on_the_same_episodes_with_the_baseline_beside_them(acted: grid_run.GridResult) -> None:
    found = acted.record
    assert found is not None
    assert [row["arm"] for row in table(found)] == ["long", "short", "(do nothing)"]
    values = {name: runs["0"] for name, runs in found["values"].items()}
    assert {name: len(of) for name, of in values.items()} == {"long": 2, "short": 2, "hold": 2}
    apart = found["arms"][1]["difference"]
    assert apart["mean"] == pytest.approx(sum(values["short"]) / 2 - sum(values["long"]) / 2, rel=1e-4)
    low, high = apart["ci95"]
    assert low <= apart["mean"] <= high
    assert found["arms"][0]["difference"] is None
    assert found["version"] == "v0001"
    assert found["arms"][0]["network_evaluations"] > found["arms"][1]["network_evaluations"]


def test_a_stopped_grid_goes_on_to_the_same_bytes(acted: grid_run.GridResult, trained: Path, tmp_path: Path) -> None:
    should_stop, on_cell = stop_after(1)
    plan = plan_of(tmp_path)
    options: dict[str, Any] = {"runs_dir": tmp_path, "models_dir": trained, "processes": 1}
    stopped = grid_run.run(plan, "acted", should_stop=should_stop, on_cell=on_cell, **options)
    assert stopped.record is None
    cut = stopped.folder / "cells" / "long-s0" / EPISODES_FILE
    (cut.parent / "done").unlink()
    cut.write_bytes(cut.read_bytes()[:-20])  # as a power cut leaves it
    assert grid_run.run(plan, "acted", **options).record == acted.record
    assert files(stopped.folder) == files(acted.folder)


@pytest.mark.slow
@pytest.mark.parametrize("on", ["processes", "ray"])
def test_what_it_runs_on_changes_nothing(on: str, acted: grid_run.GridResult, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip(on if on == "ray" else "torch")
    two = grid_run.run(plan_of(tmp_path), "acted", runs_dir=tmp_path, models_dir=trained, processes=2, on=on)
    assert files(two.folder) == files(acted.folder)


def test_another_plan_does_not_go_on_in_the_same_folder(acted: grid_run.GridResult, trained: Path) -> None:
    base = acted.folder.parents[1]
    with pytest.raises(MbrlError, match="--run NAME"):
        grid_run.run(plan_of(base, claim="Another."), "acted", runs_dir=base, models_dir=trained)


def test_a_record_is_kept_without_the_runs(acted: grid_run.GridResult, tmp_path: Path) -> None:
    kept = grid_run.keep(acted.folder, tmp_path / "records", "horizon")
    assert [path.name for path in kept] == ["horizon.json", "horizon.png"]
    assert json.loads(kept[0].read_text()) == acted.record
    assert kept[1].read_bytes().startswith(b"\x89PNG")


# --- arms that learn ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_arms_that_learn_from_the_same_episodes_may_be_stopped(valve_episodes: Path, tmp_path: Path) -> None:
    training = {f"training.{name}": value for name, value in TINY.items()}
    arms = [{"name": "narrow"}, {"name": "one", "set": {"training.ensemble_size": 1}}]
    given = {"from": "episodes", "set": {**PLAN["set"], **training}, "arms": arms, "seeds": [0, 1]}
    plan = plan_of(tmp_path, str(valve_episodes), **given)
    whole = grid_run.run(plan, "g", runs_dir=tmp_path / "whole", processes=1)
    found = whole.record
    assert found is not None
    assert found["arms"][1]["runs"] == 2
    means = {name: {tuple(of) for of in runs.values()} for name, runs in found["values"].items()}
    assert len(means["narrow"]) == len(means["one"]) == 2  # another seed is another model
    should_stop, on_cell = stop_after(2)
    part = grid_run.run(plan, "g", runs_dir=tmp_path / "part", processes=1, should_stop=should_stop, on_cell=on_cell)
    assert part.record is None
    grid_run.run(plan, "g", runs_dir=tmp_path / "part", processes=1)
    assert files(part.folder) == files(whole.folder)


@pytest.mark.slow
def test_arms_that_learn_from_nothing_are_runs_of_mbrl_learn(tmp_path: Path) -> None:
    small = {
        "rounds": 1,
        "random_episodes": 8,
        "random_seconds": 3.0,
        "evaluate_episodes": 2,
        "planner.num_samples": 8,
        **{f"training.{name}": value for name, value in TINY.items()},
    }
    arms = [{"name": "fresh"}, {"name": "coarse", "set": {"training.batch": 64}}]
    plan = plan_of(tmp_path, **{"from": "nothing", "set": small, "arms": arms})
    result = grid_run.run(plan, "g", runs_dir=tmp_path, processes=1)
    assert result.record is not None
    found = compare.compare_runs([result.folder / "learn" / "valve"])
    assert {run.folder.name for run in found} == {"fresh-s0", "coarse-s0"}
    assert len({run.group for run in found}) == len(arms)
    judged = {name: values["0"] for name, values in result.record["values"].items()}
    assert judged["fresh"] != judged["coarse"]
