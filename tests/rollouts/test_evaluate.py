# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The yardstick's figures and intervals."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.task_config import contract_for, planner_defaults
from mbrl_controller.models.card import ModelCard
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.rollouts import evaluate
from mbrl_controller.rollouts.episode import EpisodeTrajectory
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.rollouts.statistics import bootstrap, wilson
from mbrl_controller.tasks.metrics import EpisodeMetrics

from ..rollout_calls import roll_out

VALVE = contract_for("valve")

KEYS = {
    "task",
    "model",
    "precision",
    "planner",
    "episodes",
    "seed",
    "return_mean",
    "time_kept_median_s",
    "degrees_turned_median",
    "success_90",
    "success_180",
    "goal_rate",
    "plan_ms_median",
}


def record(plan_s: Sequence[float] = (0.01, 0.02), **metrics: object) -> EpisodeTrajectory:
    """An episode with these metrics; those that not every task has are values."""
    none = np.zeros(0)
    shared = {"episode_return": 0.0, "time_kept": 10.0, "dropped": False, "goal_reached": False}
    own = {"degrees_turned": 0.0, "goal_error": 0.0, "final_goal_error": 0.0}
    fields = {name: metrics.pop(name, value) for name, value in shared.items()}
    return EpisodeTrajectory(
        seed=0,
        states=none,
        observed=none,
        stamps=none,
        commands=none,
        goals=none,
        plan_s=np.array(plan_s),
        predicted_returns=none,
        disagreements=none,
        metrics=EpisodeMetrics(**fields, values={**own, **metrics}),  # type: ignore[arg-type]
    )


def test_means_and_medians_are_what_they_are_called() -> None:
    """Of figures with one far away, each of which would be another one's."""
    columns = {
        "episode_return": [-1.0, -2.0, -3.0, -4.0, -1000.0],
        "time_kept": [10.0, 9.0, 8.0, 7.0, 0.5],
        "degrees_turned": [10.0, 20.0, 30.0, 40.0, 2000.0],
        "goal_error": [0.1, 0.2, 0.3, 0.4, 9.0],
        "final_goal_error": [0.5, 0.6, 0.7, 0.8, 99.0],
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    times = [[0.001 * (k + 1)] * (k + 1) for k in range(5)]
    figures = evaluate.summarise([record(t, **row) for t, row in zip(times, rows, strict=True)], VALVE)
    assert figures["episodes"] == 5
    assert figures["return_mean"] == pytest.approx(-202.0)
    assert figures["time_kept_median_s"] == 8.0
    assert figures["degrees_turned_median"] == 30.0
    assert figures["goal_error_median"] == 0.3
    assert figures["final_goal_error_median"] == 0.7
    assert figures["goal_error_unit"] == VALVE.task.goal_unit
    assert figures["plan_ms_median"] == pytest.approx(4.0)  # of all 15 plans, not of the episodes
    assert figures["return_mean_ci95"] == bootstrap(columns["episode_return"], np.mean)
    assert figures["time_kept_median_s_ci95"] == bootstrap(columns["time_kept"], np.median)


def test_a_dropped_episode_is_no_success_however_far_it_turned() -> None:
    records = [
        record(degrees_turned=200.0, dropped=True),
        record(degrees_turned=200.0, goal_reached=True),
        record(degrees_turned=180.0),
        record(degrees_turned=179.9),
        record(degrees_turned=90.0, goal_reached=True),
        record(degrees_turned=89.9, goal_reached=True),
        record(degrees_turned=-200.0),
        record(degrees_turned=500.0, dropped=True),
    ]
    figures = evaluate.summarise(records, VALVE)
    for name, hits in (("kept_rate", 6), ("success_90", 4), ("success_180", 2), ("goal_rate", 3)):
        assert figures[name] == hits / 8
        assert figures[f"{name}_ci95"] == wilson(hits, 8)


def run_seeds(seed: int, **more: object) -> list[EpisodeTrajectory]:
    """The records of an evaluation of one random episode."""
    seen: list[EpisodeTrajectory] = []
    arguments = {"policy": "random", "episodes": 1, "seconds": 0.3, "processes": 1, **more}
    roll_out(evaluate.run, "valve", seed=seed, on_episode=seen.append, **arguments)  # type: ignore[arg-type]
    return seen


def test_each_episode_has_a_seed_of_its_own_and_counts_up_from_the_one_asked_for() -> None:
    seen: list[EpisodeTrajectory] = []
    report = roll_out(
        evaluate.run, "valve", policy="random", episodes=3, seed=5, seconds=0.3, processes=1, on_episode=seen.append
    )
    assert [r.seed for r in seen] == [5, 6, 7]
    assert (report["seed"], report["episodes"]) == (5, 3)
    assert len({r.commands.tobytes() for r in seen}) == 3
    (alone,) = run_seeds(7)
    assert np.array_equal(alone.commands, seen[2].commands)
    assert report["return_mean"] == pytest.approx(np.mean([r.metrics.episode_return for r in seen]))


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a model that says that nothing ever moves, v0003, which is current; nothing is trained for it."""
    pytest.importorskip("onnx")
    from ..linear_model import linear_model

    folder = tmp_path_factory.mktemp("still")
    registry = Registry(folder / "models", shipped=folder / "none")
    spec = ModelSpec.of(VALVE.task, VALVE.file.robot, VALVE.action, 1, (1,)).model_copy(update={"version": "v0003"})
    files = folder / "new"
    files.mkdir()
    mix = np.zeros((1, len(VALVE.action), len(VALVE.task.state)), np.float32)
    (files / "model.onnx").write_bytes(linear_model(mix, spec.to_metadata()).SerializeToString())
    registry.add("valve", files, ModelCard(spec=spec, model_sha256=file_sha256(files / "model.onnx")))
    registry.promote("valve", "v0003")
    return folder / "models"


SMALL = {"num_samples": 4, "horizon": 2}


def test_a_report_says_what_was_evaluated(still: Path, tmp_path: Path) -> None:
    report = roll_out(
        evaluate.run,
        "valve",
        models_dir=still,
        episodes=2,
        seed=3,
        seconds=0.3,
        processes=1,
        planner="cem",
        planner_options=SMALL,
        core_options={"drop_cost": 7},
        sim="perturbed",
        goal_options={"direction": "clockwise"},
        json_file=tmp_path / "report.json",
    )
    said = {
        "task": "valve",
        "model": "v0003",
        "dynamics": "learned",
        "backend": "onnx",
        "precision": "fp32",
        "precision_fallback": None,
        "policy": "controller",
        "planner": "cem",
        "sim": "perturbed",
        "goal_options": {"direction": "clockwise"},
        "seed": 3,
        "episodes": 2,
    }
    assert {name: report[name] for name in said} == said
    assert SMALL.items() <= report["planner_options"].items()
    assert report["core"]["drop_cost"] == 7
    assert report["machine"].startswith(platform.machine())
    written = json.loads((tmp_path / "report.json").read_text())
    assert set(written) == set(report)
    assert {name: written[name] for name in said} == said
    assert written["return_mean_ci95"] == pytest.approx(report["return_mean_ci95"])


def test_a_floor_has_no_model_and_no_planner_in_its_report() -> None:
    report = roll_out(evaluate.run, "valve", policy="hold", episodes=1, seconds=0.2, processes=1)
    said = {"model": "hold", "policy": "hold", "backend": None, "precision": None, "planner": None}
    assert {name: report[name] for name in said} == said
    oracle = roll_out(
        evaluate.run,
        "valve",
        dynamics="oracle",
        episodes=1,
        seconds=0.1,
        processes=1,
        planner_options={**SMALL, "num_samples": 2},
    )
    said = {"model": "oracle", "policy": "controller", "backend": None, "precision": None, "planner": "pddm"}
    assert {name: oracle[name] for name in said} == said


def test_the_finite_figures_are_kept_on_the_card_with_the_precision_of_the_file(still: Path) -> None:
    report = roll_out(evaluate.run,
        "valve", models_dir=still, model="v0003", episodes=1, seconds=0.3, processes=1, planner_options=SMALL,
        on_card=True,
    )  # fmt: skip
    card = Registry(still).resolve("valve", "v0003").check_digest()
    assert card.evaluation_precision == "fp32"
    assert card.evaluation["return_mean"] == report["return_mean"]
    assert card.evaluation["episodes"] == 1.0
    numbers = {name for name, value in report.items() if isinstance(value, int | float) and np.isfinite(value)}
    assert set(card.evaluation) == numbers
    for policy in ("hold", "random"):
        with pytest.raises(MbrlError, match="card"):
            roll_out(
                evaluate.run,
                "valve",
                models_dir=still,
                policy=policy,
                episodes=1,
                seconds=0.1,
                processes=1,
                on_card=True,
            )
    assert Registry(still).resolve("valve", "v0003").card() == card


def test_the_8_bit_file_has_its_figures_kept_as_its_own(still: Path, tmp_path: Path) -> None:
    shutil.copytree(still, tmp_path / "models")
    registry = Registry(tmp_path / "models")
    version = registry.current("valve")
    registry.record_int8("valve", version.name, version.model, {})
    arguments = {"models_dir": tmp_path / "models", "episodes": 1, "seconds": 0.2, "processes": 1, "on_card": True}
    for precision, kept in (("auto", "int8"), ("fp32", "fp32"), ("int8", "int8")):
        report = roll_out(evaluate.run, "valve", precision=precision, planner_options=SMALL, **arguments)
        assert report["precision"] == version.check_digest().evaluation_precision == kept


def test_unless_asked_for_otherwise_20_episodes_from_seed_0_run_on_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[int, list[int]]] = []

    class Pool(EpisodePool):
        def run(self, spec: object, seeds: Sequence[int]) -> Iterator[EpisodeTrajectory]:
            started.append((self.processes, list(seeds)))
            return (record() for _ in seeds)

    monkeypatch.setattr(evaluate, "EpisodePool", Pool)
    monkeypatch.setattr(evaluate, "usable_cores", lambda: 7)
    for asked in ({}, {"episodes": 2, "seed": 4}, {"processes": 3}, {"processes": 9, "episodes": 8}):
        roll_out(evaluate.run, "valve", policy="hold", **asked)
    assert started == [(7, list(range(20))), (2, [4, 5]), (3, list(range(20))), (8, list(range(8)))]


def test_a_report_has_all_figures_and_is_valid_json(tmp_path: Path, trained: Path) -> None:
    file = tmp_path / "report.json"
    report = roll_out(
        evaluate.run,
        "valve",
        models_dir=trained,
        episodes=2,
        seconds=0.5,
        planner_options={"num_samples": 16, "horizon": 3},
        core_options={"drop_cost": 7},
        processes=1,
        json_file=file,
    )
    written = json.loads(file.read_text())
    assert set(written) >= KEYS
    assert written["model"] == "v0001"
    assert written["core"]["drop_cost"] == 7
    assert written["core"]["risk"] == planner_defaults("valve", "pddm").core.risk.model_dump()
    assert written["return_mean"] == pytest.approx(report["return_mean"])
    low, high = written["return_mean_ci95"]
    assert low <= written["return_mean"] <= high


def test_figures_are_kept_on_the_card(trained: Path) -> None:
    arguments = {"models_dir": trained, "episodes": 2, "seconds": 0.3, "processes": 1, "on_card": True}
    options = {"num_samples": 8, "horizon": 2}
    report = roll_out(evaluate.run, "valve", planner_options=options, **arguments)
    version = Registry(trained).current("valve")
    assert version.check_digest().evaluation["return_mean"] == pytest.approx(report["return_mean"])
    with pytest.raises(MbrlError, match="card"):
        roll_out(evaluate.run, "valve", policy="hold", **arguments)


def test_figures_are_the_same_whenever_they_are_made() -> None:
    figures = [
        roll_out(evaluate.run, "valve", policy="random", episodes=3, seconds=1.0, processes=p)["return_mean"]
        for p in (1, 2)
    ]
    assert figures[0] == figures[1]


def test_torch_plans_as_onnx_runtime_does(trained: Path) -> None:
    options = {"num_samples": 32, "horizon": 4}
    one, other = (
        roll_out(
            evaluate.run,
            "valve",
            models_dir=trained,
            backend=backend,
            precision="fp32",
            episodes=1,
            seconds=1.0,
            processes=1,
            planner_options=options,
        )
        for backend in ("onnx", "torch")
    )
    assert (one["backend"], other["backend"]) == ("onnx", "torch")
    assert other["return_mean"] == pytest.approx(one["return_mean"], rel=1e-2, abs=1e-2)
    assert other["final_goal_error_median"] == pytest.approx(one["final_goal_error_median"], rel=1e-2, abs=1e-2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backend": "jax"}, "onnx, torch"),
        ({"precision": "fp16"}, "auto, fp32, int8"),
        ({"policy": "clever"}, "controller, distilled, hold, random"),
        ({"dynamics": "guess"}, "learned, oracle"),
        ({"planner": "guess", "dynamics": "oracle"}, "cem, .*pddm, random, random_shooting"),
        ({"model": "v4711"}, "v4711"),
        ({"sim": "perfect"}, "nominal, perturbed"),
        ({"episodes": 0}, "episodes"),
        ({"policy": "hold", "goal_options": {"speed": 1}}, "speed"),
        ({"core_options": {"drop_price": 1}}, "options: drop_price"),
        ({"core_options": {"drop_cost": -1}}, "options: drop_cost"),
    ],
)
def test_what_does_not_exist_is_named(trained: Path, change: dict, said: str) -> None:
    with pytest.raises(MbrlError, match=said):
        roll_out(evaluate.run, "valve", models_dir=trained, **{"episodes": 1, "seconds": 0.2, "processes": 1, **change})


def test_an_unwritable_report_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "report.json"
    with pytest.raises(MbrlError, match=r"report\.json"):
        roll_out(evaluate.run, "valve", policy="hold", episodes=1, seconds=0.2, processes=1, json_file=file)
