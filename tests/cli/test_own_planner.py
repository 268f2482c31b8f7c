# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A planner that is in the catalog is known to every command: no other list names the planners."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mbrl_controller.cli.main import app
from mbrl_controller.learning.config import make_plan
from mbrl_controller.planning.base import Candidates, Planner, PlannerConfig, PlannerState, Search
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.tasks.spaces import Array


class StillPlanner(Planner):
    """Asks for the neutral pose."""

    name = "still"
    config_type = PlannerConfig

    def _sample(self, search: Search, state: PlannerState, rng: np.random.Generator, count: int) -> Array:
        return np.zeros((count, self.config.horizon, self.action_size))

    def _refine(self, search: Search, candidates: Candidates, returns: Array) -> None:
        search.mean, search.predicted_return = search.best, search.best_return


SHIPPED = ("--models-dir", str(Path(__file__).resolve().parents[2] / "models"))


@pytest.fixture(autouse=True)
def _in_the_catalog() -> Iterator[None]:
    PLANNERS.add("still", StillPlanner)
    yield
    PLANNERS.forget()


def test_it_evaluates(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    file = tmp_path / "figures.json"
    words = ["evaluate", "valve", "--planner", "still", "--episodes", "1", "--seconds", "0.5", "--processes", "1"]
    done = CliRunner().invoke(app, [*words, *SHIPPED, "--json", str(file)])
    assert done.exit_code == 0, done.output
    assert json.loads(file.read_text())


def test_it_learns() -> None:
    assert make_plan("valve", settings={"planner_name": "still"}).planner["horizon"] > 0


def test_another_name_is_refused_with_those_that_exist() -> None:
    done = CliRunner().invoke(app, ["evaluate", "valve", "--planner", "restless", *SHIPPED])
    assert done.exit_code == 2
    assert "random_shooting" in done.output
    assert "still" in done.output
