# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Planner options by the names of version 0.1."""

from __future__ import annotations

from typing import Any

import pytest

from mbrl_controller.base.deprecated import RenamedWarning
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.planning.base import RENAMED
from mbrl_controller.planning.catalog import PLANNERS, make_planner

OLD: dict[str, Any] = {
    "candidates": 12, "decay": 2.0, "kept": 3, "execute": "best", "kappa": 4.0, "effective": 0.25, "filter": "paper",
    "calm_fraction": 0.5,
}  # fmt: skip


def test_every_old_name_is_that_of_an_option() -> None:
    assert OLD.keys() == RENAMED.keys()
    known = {name for planner in PLANNERS.values() for name in planner.config_type.model_fields}
    assert set(RENAMED.values()) <= known
    assert not known & RENAMED.keys()


@pytest.mark.parametrize("old", OLD)
def test_an_old_name_sets_the_option_with_a_warning(old: str) -> None:
    with pytest.warns(RenamedWarning, match=f"{old} is now {RENAMED[old]}"):
        config = make_planner("pddm", 3, {old: OLD[old]}).config
    assert getattr(config, RENAMED[old]) == OLD[old]


def test_both_names_are_refused() -> None:
    with pytest.raises(MbrlError, match="kappa is the old name of inverse_temperature"):
        make_planner("pddm", 3, {"kappa": 1.0, "inverse_temperature": 1.0})
