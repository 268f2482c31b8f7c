# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sweeps: what they may search, that a stopped one ends as one that was not, and that those behind end early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("optuna")

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.learning import sweep_run
from mbrl_controller.learning.grid_plan import SEARCH_SEEDS
from mbrl_controller.learning.sweep_plan import Choices, Pruning, SweepPlan, read_sweep
from mbrl_controller.learning.sweep_search import Search

from ..trained_valve import TINY

PLAN: dict[str, Any] = {
    "task": "valve",
    "from": "version",
    "set": {"planner.num_samples": 8},
    "search": {
        "planner.horizon": {"low": 2, "high": 6},
        "planner.sigma": {"low": 0.1, "high": 1.0, "log": True},
        "planner.noise": ["white", "filtered"],
    },
    "trials": 5,
    "batch": 2,
    "evaluate": {"episodes": 1},
}


def plan_of(folder: Path, source_name: str = "", **changes: Any) -> SweepPlan:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}))
    return read_sweep(path, source_name)


def files(folder: Path) -> dict[str, bytes]:
    names = (sweep_run.RECORD_FILE, sweep_run.FIGURE_FILE, sweep_run.BEST_FILE)
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> sweep_run.SweepResult:
    base = tmp_path_factory.mktemp("sweep")
    return sweep_run.run(plan_of(base), "s", runs_dir=base, models_dir=trained, processes=1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"search": {}}, "search"),
        ({"search": {"planner.sigma": {"low": 1, "high": 1}}}, "below high"),
        ({"search": {"planner.sigma": {"low": 0, "high": 1, "log": True}}}, "above 0"),
        ({"search": {"planner.noise": ["white"]}}, "search"),
        ({"seeds": [0, 1]}, "episodes alone repeat"),
        ({"evaluate": {"metric": "beauty"}}, "evaluate.metric"),
        ({"set": {"planner.beauty": 1}}, "beauty"),
    ],
)
def test_what_does_not_fit_is_named_before_anything_runs(
    changes: dict[str, Any], named: str, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(MbrlError, match=named):
        sweep_run.run(plan_of(tmp_path, **changes), "s", runs_dir=tmp_path, models_dir=trained, processes=1)
    assert not (tmp_path / "sweep").exists()


def test_the_shipped_sweep_can_be_run() -> None:
    plan = read_sweep(Path("benchmarks/sweeps/valve.yaml"))
    first = {name: entry.values[0] if isinstance(entry, Choices) else entry.low for name, entry in plan.search.items()}
    assert plan.learn_plan(first, 0).planner["horizon"] == 4


def test_a_sweep_tries_what_it_may_and_judges_the_best_on_other_seeds(swept: sweep_run.SweepResult) -> None:
    found = swept.record
    assert found is not None
    assert [row["ended"] for row in found["trials"]] == ["complete"] * 5
    for row in found["trials"]:
        assert 2 <= row["planner.horizon"] <= 6
        assert isinstance(row["planner.horizon"], int)
        assert 0.1 <= row["planner.sigma"] <= 1.0
        assert row["planner.noise"] in ("white", "filtered")
    assert found["best"]["value"] == max(row["value"] for row in found["trials"])
    assert found["evaluate"]["seed"] == SEARCH_SEEDS != found["confirmed"]["first_seed"]
    best = yaml.safe_load((swept.folder / sweep_run.BEST_FILE).read_text())
    assert best["set"] == {**PLAN["set"], **found["best"]["set"]}


def test_a_stopped_sweep_tries_the_same_again(swept: sweep_run.SweepResult, trained: Path, tmp_path: Path) -> None:
    done: list[str] = []
    options: dict[str, Any] = {"runs_dir": tmp_path, "models_dir": trained, "processes": 1}
    plan = plan_of(tmp_path)
    stopped = sweep_run.run(
        plan,
        "s",
        should_stop=lambda: len(done) >= 3,  # in the middle of a batch
        on_trial=lambda name, finished, total: done.append(name),
        **options,
    )
    assert stopped.record is None
    assert sweep_run.run(plan, "s", **options).record == swept.record
    assert files(stopped.folder) == files(swept.folder)


def test_options_that_do_not_fit_together_are_a_failed_trial(trained: Path, tmp_path: Path) -> None:
    search = {"planner.num_samples": [8, 100_000], "planner.horizon": [2, 200]}
    plan = plan_of(tmp_path, search=search, trials=8, batch=8)
    found = sweep_run.run(plan, "s", runs_dir=tmp_path, models_dir=trained, processes=1).record
    assert found is not None
    failed = [row for row in found["trials"] if row["ended"] == "fail"]
    assert failed
    assert all("num_samples" in row["error"] for row in failed)


@pytest.mark.parametrize(("better", "behind"), [(1, [False, True]), (-1, [True, False])])
def test_a_trial_behind_most_others_at_the_same_step_ends(better: int, behind: list[bool], tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=20, batch=4).model_copy(update={"prune": Pruning(keep=0.75, after=4)})
    search = Search(tmp_path, plan, better)
    for number in range(8):
        search.add(search.options_of(number), float(number), {1: float(number), 2: float(number)}, "")
    assert [search.race(8).is_behind(1, value) for value in (9.0, -1.0)] == behind
    assert not search.race(3).is_behind(1, -1.0)  # of the first batch: there is nobody to be behind
    assert not search.race(8).is_behind(7, -1.0)  # where no other has been


def test_trials_of_a_batch_do_not_know_of_one_another(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=20, batch=4)
    search = Search(tmp_path, plan, 1)
    before = [search.options_of(number) for number in range(4)]
    search.add(before[0], 1.0, {}, "")
    assert [search.options_of(number) for number in range(4)] == before
    again = Search(tmp_path, plan, 1)
    assert [trial.value for trial in again.finished] == [1.0]
    assert again.options_of(1) == before[1]


@pytest.mark.slow
def test_runs_that_learn_are_compared_round_by_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {
        "rounds": 2,
        "random_episodes": 8,
        "random_seconds": 3.0,
        "collect": [{"name": "plain", "episodes": 2, "seconds": 1.0}],
        "evaluate_episodes": 2,
        "planner.num_samples": 8,
        **{f"training.{name}": value for name, value in TINY.items()},
    }
    reports: list[int] = []

    def behind(self: object, step: int, value: float) -> bool:
        reports.append(step)
        return len(reports) == 3  # the first trial has two rounds; the second ends after its first

    monkeypatch.setattr("mbrl_controller.learning.sweep_search.Race.is_behind", behind)
    search = {"training.batch": [64, 512]}
    plan = plan_of(tmp_path, **{"from": "nothing", "set": small, "search": search, "trials": 2})
    found = sweep_run.run(plan, "s", runs_dir=tmp_path, processes=1).record
    assert found is not None
    assert reports == [1, 2, 1]
    assert [row["ended"] for row in found["trials"]] == ["complete", "pruned"]
    assert found["best"]["trial"] == 0
    runs = tmp_path / "sweep" / "s" / "learn" / "valve"
    first, second = (len((runs / name / "log.jsonl").read_text().splitlines()) for name in ("t0000-s0", "t0001-s0"))
    assert second < first
