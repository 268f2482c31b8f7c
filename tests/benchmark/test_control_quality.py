# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Control compared on the same seeds: the work is shared out fairly, pairs are pairs, and what is done stays done."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark import control_quality, plots
from mbrl_controller.benchmark.control_quality import CONTESTANTS, Contestant
from mbrl_controller.benchmark.settings import Settings, measurable_tasks
from mbrl_controller.control.task_config import planner_defaults, task_defaults
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.rollouts.config import RolloutConfig
from mbrl_controller.tasks.catalog import TASKS
from mbrl_controller.tasks.valve import Valve

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(autouse=True)
def shipped_as_own(tmp_path_factory, monkeypatch) -> None:
    """The shipped models, as a registry that worker processes see, too."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(MODELS)
    monkeypatch.setenv("MBRL_HOME", str(home))


@pytest.mark.parametrize("task", ["baoding", "valve"])
@pytest.mark.parametrize("contestant", CONTESTANTS, ids=lambda c: c.name)
@pytest.mark.parametrize("candidates", [25, 200, 1400])
def test_every_planner_spends_the_candidates_it_is_given(candidates: int, contestant: Contestant, task: str) -> None:
    own = planner_defaults(task, contestant.planner).planner_options
    p = make_planner(contestant.planner, 3, {**own, **contestant.settings(task, candidates)})
    result, _ = p.plan(lambda c: -(c**2).sum((1, 2)), p.initial_state(0))
    assert result.evaluated == pytest.approx(candidates, abs=max(2.0, 0.02 * candidates) * p.config.iterations)


@pytest.fixture
def one_job(monkeypatch) -> dict:
    """A second of valve with eight candidates."""
    job = {"task": "valve", "dynamics": "learned", "planner": "ours", "with": "pddm", "options": {"num_samples": 8},
           "candidates": 8, "episodes": 2, "seconds": 0.5}  # fmt: skip
    monkeypatch.setattr(control_quality, "_jobs", lambda quick: iter([job]))
    monkeypatch.setattr(control_quality, "usable_cores", lambda: 1)
    return job


def test_rows_that_are_done_are_not_measured_again(one_job, tmp_path: Path, monkeypatch) -> None:
    settings = Settings(json_file=tmp_path / "report.json")
    first = control_quality.samples(settings)
    assert first["rows"][0]["candidates"] == 8
    monkeypatch.setattr(control_quality, "run_episodes", lambda *a: pytest.fail("measured again"))
    assert control_quality.samples(settings) == first
    one_job["options"] = {"num_samples": 9}  # another planner is another row
    with pytest.raises(pytest.fail.Exception):
        control_quality.samples(settings)


def test_without_a_file_nothing_is_kept(one_job, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert control_quality.samples(Settings())["rows"]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_of_rows_is_named(one_job, tmp_path: Path) -> None:
    (tmp_path / "report.samples.jsonl").write_text("{")
    with pytest.raises(MbrlError, match=r"report\.samples\.jsonl"):
        control_quality.samples(Settings(json_file=tmp_path / "report.json"))


def test_the_same_seeds_give_the_same_records(one_job) -> None:
    who = RolloutConfig("valve", planner_options={"num_samples": 8}, seconds=0.5)
    one, two = (control_quality.run_episodes(who, 2)[0] for _ in range(2))
    assert all(np.array_equal(a.states, b.states) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0].states, one[1].states)


def row(planner: str, candidates: int, value: float) -> dict:
    return {"task": "t", "dynamics": "oracle", "planner": planner, "candidates": candidates, "return_mean": value,
            "return_mean_ci95": (value - 1, value + 1)}  # fmt: skip


def test_candidates_equal_to_700_of_pddm() -> None:
    rows = [row("PDDM as released", n, v) for n, v in ((100, -30.0), (700, -20.0), (1400, -10.0))]
    rows += [row("ours", 50, -25.0), row("ours", 100, -19.0), row("ours", 200, -18.0), row("other", 1400, -21.0)]
    found = {r["planner"]: r["reached_with"] for r in control_quality.equal_to_700(rows)}
    assert found == {"PDDM as released": 700, "ours": 100, "other": "-"}


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    rows = [row(p, n, v) for p, v in (("a", -5.0), ("b", 40.0)) for n in (25, 50)]
    assert plots.plot_samples(rows, tmp_path / "p.png").stat().st_size > 1000


def test_any_installed_task_with_a_contract_and_a_model_is_measured(monkeypatch, tmp_path: Path) -> None:
    assert measurable_tasks() == ["baoding", "valve"]  # `reach` has no model
    (tmp_path / "models").mkdir()
    shutil.copytree(MODELS / "valve", tmp_path / "models" / "spin")
    monkeypatch.setenv("MBRL_HOME", str(tmp_path))

    class Spin(Valve):
        name = "spin"
        defaults = {"contract": "claw_valve.yaml", "benchmark": {"episodes": 7, "released": {"beta": 0.5}}}  # noqa: RUF012

    TASKS.add("spin", Spin)
    try:
        assert "spin" in measurable_tasks()
        jobs = [job for job in control_quality._jobs(quick=False) if job["task"] == "spin"]
        assert {job["episodes"] for job in jobs} == {7, 4}
        assert {job["options"].get("beta") for job in jobs if job["planner"] == "PDDM as released"} == {0.5}
    finally:
        TASKS.forget()
        task_defaults.cache_clear()


def test_all_jobs_can_be_prepared() -> None:
    jobs = list(control_quality._jobs(quick=False))
    assert {j["task"] for j in jobs} == {"baoding", "valve"}
    assert {j["dynamics"] for j in jobs} == {"learned", "oracle"}
    for job in jobs:
        make_planner(job["with"], 9, job["options"])
