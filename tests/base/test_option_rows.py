# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field

from mbrl_controller.base.option_rows import option_rows
from mbrl_controller.base.units import Count, Seconds
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.simulation.sim_options import SimOptions


class Inner(BaseModel):
    kind: Literal["one", "other"] = Field(default="one", description="which")


class Outer(BaseModel):
    needed: str
    inner: Inner = Inner()
    wait: Seconds = Field(default=1.0, gt=0, le=2, description="how long")
    many: Count = Field(default=0, ge=0)
    on: bool = True
    maybe: float | None = None
    widths: tuple[int, ...] = (2, 3)


def test_each_option_is_a_row_and_those_of_models_within_have_dotted_names() -> None:
    rows = {row["option"]: row for row in option_rows(Outer)}
    assert list(rows) == ["needed", "inner.kind", "wait", "many", "on", "maybe", "widths"]
    assert rows["wait"] == {
        "option": "wait", "default": "1.0", "range": "above 0, at most 2", "unit": "s", "meaning": "how long"
    }  # fmt: skip
    assert rows["inner.kind"]["range"] == "one, other"
    assert [row["default"] for row in rows.values()] == ["", "one", "1.0", "0", "true", "none", "[2, 3]"]


@pytest.mark.parametrize(
    "model", [TrainConfig, ControllerConfig, SimOptions, *(planner.config_type for planner in PLANNERS.values())]
)
def test_every_option_says_what_it_is(model: type[BaseModel]) -> None:
    assert all(row["meaning"] for row in option_rows(model))
