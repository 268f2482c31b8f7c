# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""docs/policies.md has every option of `mbrl policy`, with the defaults that the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbrl_controller.base.option_rows import option_rows
from mbrl_controller.training.sac_config import SacConfig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policies.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="runs in a checkout")


def test_options_are_those_of_the_code() -> None:
    section = PAGE.read_text().split("\n## Learning without a planner\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in lines]
    expected = [[f"`{r['option']}`", r["default"], r["range"], r["meaning"]] for r in option_rows(SacConfig)]
    assert [row for row in rows if len(row) == 4 and not row[0].startswith("`--")] == expected
