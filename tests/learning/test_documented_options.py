# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""docs/learning.md names every option of training and of a learning run, with the defaults that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from mbrl_controller.base.option_rows import option_rows
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.learning.config import LearnPlan

PAGE = Path(__file__).resolve().parents[2] / "docs" / "learning.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="runs in a checkout")


def test_training_options_are_those_of_the_code() -> None:
    section = PAGE.read_text().partition("### Training\n")[2].partition("\n### ")[0]
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in section.splitlines() if "| `" in line]
    expected = [[f"`{r['option']}`", r["default"], r["range"], r["meaning"]] for r in option_rows(TrainConfig)]
    assert rows == expected


def test_every_option_of_a_run_is_named() -> None:
    named = set(re.findall(r"`([a-z_]+)", PAGE.read_text()))
    fields = set(LearnPlan.model_fields) - {"task", "contract", "contract_folder", "planner", "core", "training"}
    assert fields <= named
