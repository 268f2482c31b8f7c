# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""docs/policies.md names every option of a distillation, with the defaults that the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbrl_controller.base.option_rows import option_rows
from mbrl_controller.training.distil_config import DistilConfig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policies.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="runs in a checkout")


def test_options_are_those_of_the_code() -> None:
    section = PAGE.read_text().partition("## Distilling the planner\n")[2].partition("\n### ")[0]
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in section.splitlines() if "| `" in line]
    expected = [[f"`{r['option']}`", r["default"], r["range"], r["meaning"]] for r in option_rows(DistilConfig)]
    assert rows == expected
