# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The tables of parameters in docs/ and config/ say what the nodes say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.base.units import NO_UNIT, unit_in_name
from mbrl_controller.nodes.controller_options import all_planner_specs, general_specs
from mbrl_controller.nodes.joint_poller import SPECS as JOINT_POLLER
from mbrl_controller.nodes.logger import SPECS as LOGGER
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.nodes.signals import SPECS as SIGNALS
from mbrl_controller.nodes.sim import SPECS as SIM
from mbrl_controller.panel.node import SPECS as PANEL
from mbrl_controller.planning.catalog import PLANNERS

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONTROLLER = [*general_specs(), *all_planner_specs()]
NODES = {"controller": CONTROLLER, "logger": LOGGER, "sim": SIM, "signals": SIGNALS, "joint_poller": JOINT_POLLER,
         "panel": PANEL}  # fmt: skip
WHOLE = ("logger", "sim", "signals", "joint_poller", "panel")  # whose tables have every parameter
CONFIGURED = ("logger", "sim", "signals")  # whose configuration files have the defaults
TYPES = {bool: "bool", int: "int", float: "double", str: "string"}

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="runs in a checkout")


def rows(node: str) -> list[list[str]]:
    """Cells of the rows of the parameter tables of a node's section."""
    text = (DOCS / "ros_interface.md").read_text()
    (section,) = re.findall(rf"^## {node} .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    tables = re.findall(r"^\| parameter[^\n]*\n\|[-|]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert tables
    return [[cell.strip() for cell in row.strip("|").split("|")] for table in tables for row in table.splitlines()]


def written(spec: Spec) -> str:
    """Type and default as a table has them."""
    default = spec.default
    text = '""' if default == "" else str(default).lower() if isinstance(default, bool) else str(default)
    kind = f"{TYPES[spec.entry or type(default[0])]}[]" if spec.is_list else TYPES[type(default)]
    return f"{kind}, {text}"


def unit(spec: Spec) -> str:
    found = spec.unit or unit_in_name(spec.name)
    return "" if found == NO_UNIT else found


@pytest.mark.parametrize("node", NODES)
def test_the_interfaces_tables_are_those_of_the_nodes(node: str) -> None:
    specs = {f"`{spec.name}`": spec for spec in NODES[node]}
    named = set()
    for name, type_and_default, unit_cell, what in rows(node):
        if name == "`options.<name>`":
            named |= {other for other in specs if other.startswith("`options.")}
            continue
        named.add(name)
        assert name in specs, f"{node} has no parameter {name}"
        spec = specs[name]
        assert (type_and_default, unit_cell) == (written(spec), unit(spec)), name
        assert ("[live]" in what) is spec.live, name
        assert ("(read only)" in what) is spec.read_only, name
    if node in WHOLE:
        assert named == set(specs)


def test_the_planners_table_has_every_option_and_no_other() -> None:
    text = (DOCS / "planning.md").read_text()
    (table,) = re.findall(r"^\| option \| what \|\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == {name for planner in PLANNERS.values() for name in planner.config_type.model_fields}


@pytest.mark.parametrize("node", CONFIGURED)
def test_the_configuration_files_have_the_defaults(node: str) -> None:
    document = yaml.safe_load((share_dir() / "config" / f"{node}.yaml").read_text())
    specs = {spec.name: spec.default for spec in NODES[node]}
    given = document["/**"][node]["ros__parameters"]
    assert given == {name: specs[name] for name in given}


@pytest.mark.parametrize("node", ["controller", *CONFIGURED])
def test_units_in_the_configuration_files_are_the_nodes(node: str) -> None:
    """Where a comment begins with a unit."""
    text = (share_dir() / "config" / f"{node}.yaml").read_text()
    for spec in NODES[node]:
        found = re.search(rf"^\s*(?:# )?{re.escape(spec.name)}: [^#\n]+# (?:\[\w+\] )?(s|Hz|rad)\b", text, re.MULTILINE)
        if found is not None:
            assert found.group(1) == unit(spec), spec.name
