"""The yardstick's figures and intervals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.errors import MbrlError
from mbrl_controller.jobs import evaluate
from mbrl_controller.jobs.statistics import bootstrap, wilson
from mbrl_controller.jobs.task_defaults import planner_defaults
from mbrl_controller.registry import Registry

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


def test_a_report_has_all_figures_and_is_valid_json(tmp_path: Path, trained: Path) -> None:
    file = tmp_path / "report.json"
    report = evaluate.run(
        "valve",
        models_dir=trained,
        episodes=2,
        seconds=0.5,
        planner_options={"candidates": 16, "horizon": 3},
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
    options = {"candidates": 8, "horizon": 2}
    report = evaluate.run("valve", planner_options=options, **arguments)
    version = Registry(trained).current("valve")
    assert version.check_digest().evaluation["return_mean"] == pytest.approx(report["return_mean"])
    with pytest.raises(MbrlError, match="card"):
        evaluate.run("valve", policy="hold", **arguments)


def test_figures_are_the_same_whenever_they_are_made() -> None:
    figures = [
        evaluate.run("valve", policy="random", episodes=3, seconds=1.0, processes=p)["return_mean"] for p in (1, 2)
    ]
    assert figures[0] == figures[1]


def test_torch_plans_as_onnx_runtime_does(trained: Path) -> None:
    options = {"candidates": 32, "horizon": 4}
    one, other = (
        evaluate.run(
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
        ({"policy": "clever"}, "controller, hold, random"),
        ({"dynamics": "guess"}, "learned, oracle"),
        ({"planner": "guess", "dynamics": "oracle"}, "cem, pddm, random_shooting"),
        ({"model": "v4711"}, "v4711"),
        ({"sim": "perfect"}, "nominal, perturbed"),
        ({"episodes": 0}, "episodes"),
        ({"policy": "hold", "goal_options": {"speed": 1}}, "speed"),
        ({"core_options": {"drop_price": 1}}, "core options: drop_price"),
        ({"core_options": {"drop_cost": -1}}, "core options: drop_cost"),
    ],
)
def test_what_does_not_exist_is_named(trained: Path, change: dict, said: str) -> None:
    with pytest.raises(MbrlError, match=said):
        evaluate.run("valve", models_dir=trained, **{"episodes": 1, "seconds": 0.2, "processes": 1, **change})


def test_an_unwritable_report_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "report.json"
    with pytest.raises(MbrlError, match=r"report\.json"):
        evaluate.run("valve", policy="hold", episodes=1, seconds=0.2, processes=1, json_file=file)


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_holds_the_rate_and_stays_in_the_unit_interval(a: int, b: int) -> None:
    successes, trials = min(a, b), max(a, b)
    low, high = wilson(successes, trials)
    assert 0 <= low <= high <= 1
    if trials:
        assert low <= successes / trials <= high


def test_wilson_against_a_published_value() -> None:
    """15 of 20: .531 to .888 (Newcombe 1998 gives such tables)."""
    assert wilson(15, 20) == pytest.approx((0.531, 0.888), abs=1e-3)


def test_bootstrap_narrows_with_more_episodes() -> None:
    rng = np.random.default_rng(1)
    widths = [np.ptp(bootstrap(rng.normal(size=n), np.mean)) for n in (10, 1000)]
    assert widths[1] < widths[0] / 4
    assert np.isnan(bootstrap(np.ones(1), np.mean)).all()
