# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""All planners by name. To add one, add its class to PLANNERS."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.planning.base import Planner
from mbrl_controller.planning.cem import CemPlanner, IcemPlanner
from mbrl_controller.planning.pddm import PddmPlanner
from mbrl_controller.planning.random_shooting import RandomShootingPlanner

PLANNERS: dict[str, type[Planner]] = {p.name: p for p in (PddmPlanner, CemPlanner, IcemPlanner, RandomShootingPlanner)}


def make_planner(name: str, action_size: int, options: dict[str, Any] | None = None) -> Planner:
    """The planner called `name`; raises MbrlError for an unknown name, option or value."""
    if name not in PLANNERS:
        raise MbrlError(f"unknown planner {name!r}; known planners: {', '.join(sorted(PLANNERS))}")
    cls = PLANNERS[name]
    try:
        return cls(action_size, cls.config_type(**(options or {})))
    except ValidationError as error:
        raise MbrlError(f"planner {name}: {describe_validation(error)}") from error
    except ValueError as error:
        raise MbrlError(f"planner {name}: {error}") from error
