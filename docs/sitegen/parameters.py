# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Every parameter of every node, as `ros2 param describe` has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mbrl_controller.base.units import NO_UNIT, unit_in_name
from mbrl_controller.nodes import joint_poller, logger, signals, sim
from mbrl_controller.nodes.controller_options import general_specs, planner_specs
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.panel import node as panel
from mbrl_controller.planning.catalog import PLANNERS
from sitegen.tables import code, table

TYPES = {bool: "bool", int: "int", float: "double", str: "string"}
NODES: dict[str, Sequence[Spec]] = {
    "logger": logger.SPECS,
    "sim": sim.SPECS,
    "signals": signals.SPECS,
    "joint_poller": joint_poller.SPECS,
    "panel": panel.SPECS,
}


def markdown() -> str:
    """A table for each node; of the controller one more for each planner."""
    parts = ["## controller\n", _table(general_specs())]
    for planner in PLANNERS:
        parts += [f"### With `planner.name: {planner}`\n", _table(planner_specs(planner))]
    for node, specs in NODES.items():
        parts += [f"## {node}\n", _table(specs)]
    return "\n".join(parts)


def type_text(spec: Spec) -> str:
    """Type as ROS tools name it."""
    return f"{TYPES[spec.entry or type(spec.default[0])]}[]" if spec.is_list else TYPES[type(spec.default)]


def default_text(spec: Spec) -> str:
    """Default as YAML has it."""
    if spec.default == "":
        return '""'
    return str(spec.default).lower() if isinstance(spec.default, bool) else str(spec.default)


def _table(specs: Iterable[Spec]) -> str:
    rows = []
    for spec in specs:
        unit = spec.unit or unit_in_name(spec.name)
        when = "at the start only" if spec.read_only else "at any time" if spec.live else "while unconfigured"
        allowed = ", ".join(code(choice) if choice else '""' for choice in spec.choices) or spec.range_text
        rows.append(
            [
                code(spec.name),
                type_text(spec),
                code(default_text(spec)),
                allowed,
                "" if unit == NO_UNIT else unit,
                when,
                spec.description,
            ]
        )
    return table(("parameter", "type", "default", "range", "unit", "changeable", "meaning"), rows)
