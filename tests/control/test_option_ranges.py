# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which values each option takes, and which it has by itself: a limit that moves unseen moves the hand."""

from __future__ import annotations

import math

import pytest
from pydantic import BaseModel, ValidationError

from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig
from mbrl_controller.planning.cem import CemConfig, IcemConfig
from mbrl_controller.planning.gaussian import GaussianConfig
from mbrl_controller.planning.pddm import PddmConfig
from mbrl_controller.planning.random_shooting import RandomShootingConfig
from mbrl_controller.planning.risk import Risk

SMALL = 1e-6
BELOW_HALF_A_TURN = math.nextafter(math.pi, 0)

# Option, its default, the ends of what it takes, and what lies just beyond; None: no end.
SAFETY = [
    ("max_late_plans", 3, 1, None, [0]),
    ("check_disagreement", True, None, None, []),
    ("max_disagreeing_plans", 3, 1, None, [0]),
    ("max_jump", 2.0, 0.1, 10, [0.09, 10.1]),
    ("safe_speed", 0.5, SMALL, 1, [0, 1.1]),
    ("ramp_s", 0.5, 0, 10, [-0.1, 10.1]),
    ("frozen_periods", 1, 0, None, [-1]),
    ("frozen_object_periods", 0, 0, None, [-1]),
]
CORE = [
    ("drop_cost", 20.0, 0, 1e9, [-0.1]),
    ("max_goal_lead", 0.0, 0, BELOW_HALF_A_TURN, [-0.1, math.pi]),
    ("fallback", "auto", "previous_plan", "policy", ["planner"]),
    ("terminal", "none", "none", "value", ["policy"]),
    ("value_pessimism", 1.0, 0, 100, [-0.1, 100.1]),
    ("reward", "task", "task", "learned", ["value"]),
    ("reward_pessimism", 1.0, 0, 100, [-0.1, 100.1]),
    ("replan_every", 1, 1, 200, [0, 201]),
    ("feedback", False, None, None, []),
    ("feedback_rate", 50.0, 1, 1000, [0.9, 1000.1]),
    ("delay", "measured", "none", "given", ["some"]),
    ("delay_s", 0.0, 0, 2, [-0.1, 2.1]),
]
SESSION = [
    ("seed", 0, 0, None, [-1]),
    ("episode_s", 0.0, 0, None, [-0.1]),
    ("auto_reset", False, None, None, []),
    ("exploration_noise", 0.0, 0, 1, [-0.1, 1.1]),
    ("noise_smoothing", 0.6, SMALL, 1, [0, 1.1]),
]
RISK = [("kind", "mean_std", "mean", "worst", ["median"]), ("k", 1.0, 0, 100, [-0.1, 100.1])]
PLANNER = [
    ("num_samples", 700, 2, 100_000, [1, 100_001]),
    ("horizon", 7, 1, 200, [0, 201]),
    ("iterations", 1, 1, 50, [0, 51]),
    ("population_decay", 1.0, 1, 10, [0.9, 10.1]),
    ("num_elites_kept", 0, 0, 1000, [-1, 1001]),
    ("output", "mean", "mean", "best", ["worst"]),
    ("keep_mean", True, None, None, []),
    ("proposal_fraction", 0.0, 0, 1, [-0.1, 1.1]),
    ("proposal_sample_scale", 1.0, SMALL, 1, [0, 1.1]),
]
GAUSSIAN = [
    *PLANNER,
    ("sigma", 0.9, SMALL, 100, [0, 100.1]),
    ("joint_scale", (), (0.0,), (100.0,), [(-0.1,), (100.1,)]),
    ("noise", "filtered", "white", "knots", ["pink"]),
    ("beta", 0.6, SMALL, 1, [0, 1.1]),
    ("colour", 2.0, 0, 8, [-0.1, 8.1]),
    ("knots", 4, 1, 200, [0, 201]),
]
PDDM = [
    *GAUSSIAN,
    ("inverse_temperature", 20.0, SMALL, None, [0]),
    ("ess_fraction", 0.0, 0, 1, [-0.1, 1.1]),
    ("proposal_ess_fraction", 0.0, 0, 1, [-0.1, 1.1]),
    ("filter_variant", "released", "released", "paper", ["none"]),
    ("low_noise_fraction", 0.1, 0, 1, [-0.1, 1.1]),
]


def with_changes(table: list, **changes: tuple) -> list:
    """The table with other defaults, or with options of its own."""
    known = {row[0] for row in table}
    return [(row[0], *changes.get(row[0], row[1:])) for row in table] + [
        (name, *row) for name, row in changes.items() if name not in known
    ]


CEM = with_changes(
    GAUSSIAN,
    num_samples=(233, 2, 100_000, [1, 100_001]),
    iterations=(3, 1, 50, [0, 51]),
    noise=("white", "filtered", "knots", ["pink"]),
    sigma=(0.5, SMALL, 100, [0, 100.1]),
    elite_fraction=(0.1, SMALL, 1, [0, 1.1]),
    sigma_min=(0.05, 0, 100, [-0.1, 100.1]),
    momentum=(0.1, 0, 0.99, [-0.1, 1.0]),
)
ICEM = with_changes(
    CEM,
    noise=("coloured", "filtered", "knots", ["pink"]),
    colour=(2.5, 0, 8, [-0.1, 8.1]),
    population_decay=(1.25, 1, 10, [0.9, 10.1]),
    num_elites_kept=(8, 0, 1000, [-1, 1001]),
    output=("best", "mean", "best", ["worst"]),
)
SHOOTING = with_changes(PLANNER, keep_mean=(False, None, None, []))
TABLES = [
    (SafetyConfig, SAFETY), (ControllerConfig, CORE), (SessionConfig, SESSION), (Risk, RISK),
    (GaussianConfig, GAUSSIAN),
    (PddmConfig, PDDM), (CemConfig, CEM), (IcemConfig, ICEM), (RandomShootingConfig, SHOOTING),
]  # fmt: skip
ROWS = [(config, *row) for config, table in TABLES for row in table]


def made(config: type[BaseModel], name: str, value: object) -> object:
    few = (
        {"num_samples": 2} if name == "horizon" else {"horizon": 1} if name == "num_samples" else {}
    )  # fits into memory
    return getattr(config(**{**few, name: value}), name)


@pytest.mark.parametrize(
    ("config", "name", "default", "lowest", "highest", "beyond"), ROWS, ids=[f"{r[0].__name__}-{r[1]}" for r in ROWS]
)
def test_an_option_takes_what_lies_within_its_ends_and_nothing_beyond(
    config: type[BaseModel], name: str, default: object, lowest: object, highest: object, beyond: list[object]
) -> None:
    assert getattr(config(), name) == default
    for value in (lowest, highest):
        if value is not None:
            assert made(config, name, value) == value
    numbers = [math.nan, math.inf, -math.inf] if isinstance(default, float) else []
    for value in [*beyond, *numbers]:
        with pytest.raises(ValidationError, match=name):
            made(config, name, value)


@pytest.mark.parametrize(("config", "table"), TABLES)
def test_no_option_is_left_out_here_and_none_is_taken_that_is_not_known(config: type[BaseModel], table: list) -> None:
    elsewhere = {ControllerConfig: {"risk"}, SessionConfig: {"goal_options"}}.get(config, set())
    assert set(config.model_fields) == {row[0] for row in table} | elsewhere
    with pytest.raises(ValidationError, match="bogus"):
        config(bogus=1)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config(), table[0][0], table[0][1])
