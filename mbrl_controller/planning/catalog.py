# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The planners by name: what installed packages offer as `mbrl_controller.planners`, ours among them (setup.py)."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.plugins import Catalog, subclass_of
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.planning.base import Planner
from mbrl_controller.planning.sampling import SamplingPlanner


def _usable(found: Any) -> type[Planner]:
    if isinstance(found, type) and hasattr(found, "_sample") and not issubclass(found, SamplingPlanner):
        sampling = f"{SamplingPlanner.__module__}.{SamplingPlanner.__qualname__}"
        raise TypeError(
            f"a planner with _sample and _refine is now a subclass of {sampling}, its options of SamplingConfig"
        )
    return subclass_of(Planner, ("name", "config_type"))(found)  # type: ignore[type-abstract]


PLANNERS: Catalog[type[Planner]] = Catalog(
    "mbrl_controller.planners",
    "planner",
    _usable,
)


def make_planner(name: str, action_size: int, options: dict[str, Any] | None = None) -> Planner:
    """The planner called `name`; raises MbrlError for an unknown name, option or value."""
    cls = PLANNERS[name]
    try:
        return cls(action_size, cls.config_type(**(options or {})))
    except ValidationError as error:
        raise MbrlError(
            f"planner {name}: {describe_validation(error, cls.config_type, f'mbrl options planner --planner {name}')}"
        ) from error
    except ValueError as error:
        raise MbrlError(f"planner {name}: {error}") from error
