# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The groups of options that `mbrl options` lists, and that `--set`, `--planner-set` and their like take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from mbrl_controller.base.overrides import deep_merge, parse_overrides, unflatten


class Group(NamedTuple):
    """How a group of options is given: the option, the names' prefix elsewhere, and all that for a person."""

    option: str
    prefix: str
    taken_by: str


GROUPS = {
    "training": Group(
        "--set", "training", "`mbrl retrain --set NAME=VALUE`, and `mbrl learn --set training.NAME=VALUE`"
    ),
    "planner": Group("--planner-set", "planner", "--planner-set NAME=VALUE, and the parameters planner.NAME"),
    "controller": Group("--controller-set", "core", "--controller-set NAME=VALUE, and the controller's parameters"),
    "distil": Group("--set", "distil", "`mbrl distil --set NAME=VALUE`, and `mbrl learn --set distil.NAME=VALUE`"),
    "fit": Group("--set", "fit", "`mbrl fit --set NAME=VALUE`"),
    "identify": Group("--set", "identify", "`mbrl identify --set NAME=VALUE`"),
    "learn": Group("--set", "", "`mbrl learn --set NAME=VALUE`"),
    "policy": Group("--set", "policy", "`mbrl policy --set NAME=VALUE`"),
    "sim": Group("--sim-set", "options", "--sim-set NAME=VALUE, and the sim's parameters options.NAME"),
}


def options_model(group: str, planner: str = "pddm") -> type[BaseModel]:
    """The configuration that a group of options fills; raises MbrlError for an unknown planner."""
    if group == "planner":
        from mbrl_controller.planning.catalog import PLANNERS

        return PLANNERS[planner].config_type
    if group == "learn":
        from mbrl_controller.learning.config import LearnPlan

        return LearnPlan
    if group == "distil":
        from mbrl_controller.training.distil_config import DistilConfig

        return DistilConfig
    if group == "fit":
        from mbrl_controller.dynamics.window_config import WindowFitConfig

        return WindowFitConfig
    if group == "identify":
        from mbrl_controller.training.identify_config import IdentifyConfig

        return IdentifyConfig
    if group == "training":
        from mbrl_controller.dynamics.train_config import TrainConfig

        return TrainConfig
    if group == "policy":
        from mbrl_controller.training.sac_config import SacConfig

        return SacConfig
    if group == "sim":
        from mbrl_controller.simulation.sim_options import SimOptions

        return SimOptions
    from mbrl_controller.control.config import ControllerConfig

    return ControllerConfig


def given_options(group: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """Options of a group, `["risk.kind=mean"]` as `{"risk": {"kind": "mean"}}`.

    The names that they have as parameters of the nodes or in a learning run are taken too: `training.batch=64` is
    `batch=64`. Raises MbrlError for a pair that is not NAME=VALUE.
    """
    option, prefix, _ = GROUPS[group]
    given = unflatten(parse_overrides(option, pairs))
    inner = given.pop(prefix, None) if prefix else None
    return deep_merge(given, inner) if isinstance(inner, dict) else given
