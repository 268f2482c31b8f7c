# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Gradients of models against the simulator's: what the estimates estimate, and what the study tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import array_api_compat
import mujoco
import numpy as np
import pytest
from typer.testing import CliRunner

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark import gradient_situations, gradient_study
from mbrl_controller.benchmark.gradient_estimates import ESTIMATES, SIGMA, backpropagated, cosine, score_function
from mbrl_controller.benchmark.gradient_situations import LEAST, situations
from mbrl_controller.benchmark.gradient_study import StudyRequest, run
from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import contract_for, planner_defaults

assert array_api_compat
assert mujoco  # the file is skipped where they are missing
SLOPE = np.linspace(-1, 1, 6).reshape(2, 3)


class Line:
    """A return with one slope everywhere."""

    def __init__(self) -> None:
        self.samples = 0

    def __call__(self, candidates: np.ndarray) -> np.ndarray:
        self.samples += len(candidates)
        return np.einsum("nha,ha->n", candidates, SLOPE)

    def gradient(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.samples += len(candidates)
        return self(candidates), np.broadcast_to(SLOPE, candidates.shape)


@pytest.mark.parametrize("name", ESTIMATES)
def test_each_estimate_points_uphill_from_as_many_samples(name: str) -> None:
    line = Line()
    found = ESTIMATES[name](line, np.zeros((2, 3)), 400, np.random.default_rng(0))
    assert cosine(found, SLOPE) > 0.9
    assert line.samples == 400


def test_a_gradient_is_exact_on_a_line_and_the_score_function_on_average() -> None:
    np.testing.assert_allclose(backpropagated(Line(), np.zeros((2, 3)), 2, np.random.default_rng(0)), SLOPE)
    drawn = [score_function(Line(), np.zeros((2, 3)), 20, np.random.default_rng(k)) for k in range(400)]
    np.testing.assert_allclose(np.mean(drawn, 0), SLOPE, atol=0.1)
    spread = gradient_study._spread(np.array(drawn), SLOPE, sized=True)
    assert spread["bias"] < 0.1 < spread["deviation"]
    assert SIGMA < 1


def test_a_direction_without_length_has_no_cosine() -> None:
    assert np.isnan(cosine(np.zeros(3), np.ones(3)))
    assert cosine(np.ones(3), -2 * np.ones(3)) == pytest.approx(-1)


def test_states_are_such_that_the_plan_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    contract, core = contract_for("valve"), planner_defaults("valve", "pddm").core
    found = [(s.state, s.plan, s.slope(2)) for s in situations(contract, core, 2, 2)]
    again = [(s.state, s.plan, s.slope(2)) for s in situations(contract, core, 2, 2)]
    for one, other in zip(found, again, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert all(np.linalg.norm(slope) >= LEAST for _, _, slope in found)
    monkeypatch.setattr(gradient_situations, "LEAST", np.inf)
    monkeypatch.setattr(gradient_situations, "TRIES", 1)
    with pytest.raises(MbrlError, match="in 2 states only 0 have a return that a plan of 1 steps changes"):
        list(situations(contract, core, 2, 1))


def test_the_command_tells_and_draws_it(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["study", "gradients", "valve", "--model", "v0001", "--states", "2", "--horizon", "1", "--horizon", "2",
             "--samples", "4", "--models-dir", str(trained)]  # fmt: skip
    picture, file = tmp_path / "g.png", tmp_path / "g.json"
    result = CliRunner().invoke(app, [*words, "--json", str(file), "--plot", str(picture)])
    assert result.exit_code == 0, result.output
    assert "agreement with the simulator's gradient" in result.output
    figures: dict[str, Any] = json.loads(file.read_text())
    assert [(row["version"], row["horizon"]) for row in figures["agreement"]] == [("v0001", 1), ("v0001", 2)]
    assert [row["estimate"] for row in figures["estimates"]] == list(ESTIMATES)
    assert all(-1 <= row["cosine"] <= 1 for row in figures["by_state"] if row["cosine"] is not None)
    assert figures["predicts_control"] is None
    assert picture.stat().st_size > 1000


def test_predictors_are_ranked_over_three_versions_at_least() -> None:
    rows = [{"cosine": c, "one_step_error": e, "return_mean": r} for c, e, r in ((0.1, 1, 5), (0.2, 3, 6), (0.9, 2, 7))]
    assert gradient_study._predictors(rows) == {
        "cosine": pytest.approx(1.0), "one_step_error": pytest.approx(-0.5)}  # fmt: skip
    assert gradient_study._predictors(rows[:2]) is None


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(MbrlError, match="a version, a horizon and two states"):
        run(StudyRequest("valve", states=1))
