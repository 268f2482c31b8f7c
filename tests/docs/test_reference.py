# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The reference that the documentation site generates has all that the code has."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
if not (DOCS / "sitegen").is_dir():
    pytest.skip("runs in a checkout", allow_module_level=True)
sys.path.insert(0, str(DOCS))
pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

import sitegen
from sitegen import commands, diagrams, keys, links, node_graph, parameters, python_api, tables

from mbrl_controller.contract.contract import ContractFile
from mbrl_controller.planning.catalog import PLANNERS
from mbrl_controller.simulation.scene_file import SceneFile

from ..cli.test_named_commands import COMMANDS

URL = "https://host/package"


@pytest.mark.parametrize("document", [ContractFile, SceneFile])
def test_every_key_of_a_file_says_what_it_is(document: type) -> None:
    models = keys.models_within(document)
    assert len(models) > 5
    silent = [f"{m.__name__}.{name}" for m in models for name, field in m.model_fields.items() if not field.description]
    assert not silent


def test_every_model_of_a_file_has_a_section_to_which_its_type_links() -> None:
    text = keys.contract()
    sections = {title.lower() for title in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    linked = set(re.findall(r"\]\(#(\w+)\)", text))
    assert linked
    assert linked <= sections


def test_commands_are_those_of_the_program_with_names_filled_in() -> None:
    text = commands.markdown()
    titles = set(re.findall(r"^#+ `([^`]+)`$", text, re.MULTILINE))
    assert titles == set(COMMANDS)
    assert "{tasks}" not in text
    assert "{planners}" not in text
    assert "valve" in text


def test_parameters_of_all_planners_are_listed() -> None:
    text = parameters.markdown()
    for name, planner in PLANNERS.items():
        (section,) = re.findall(rf"^### With `planner.name: {name}`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        named = set(re.findall(r"^\| `planner\.(\w+)`", section, re.MULTILINE))
        assert named == set(planner.config_type.model_fields)


def test_names_are_those_that_examples_import() -> None:
    names = python_api.names()
    assert "Task" in names["mbrl_controller.tasks.base"]
    assert "RigidObject" in names["mbrl_controller.tasks.rigid_object"]  # of a template
    assert "run" in names["mbrl_controller.rollouts.evaluate"]  # of a module imported whole


def test_a_part_that_nobody_makes_is_an_error() -> None:
    with pytest.raises(KeyError):
        sitegen.fill_in("# Title\n\n<!-- generated: nothing -->\n")
    assert sitegen.fill_in("<!-- a comment -->\n") == "<!-- a comment -->\n"


@pytest.mark.parametrize("cell", ["a|b", "two\nlines", ""])
def test_a_cell_stays_one(cell: str) -> None:
    lines = tables.table(("one", "two"), [(cell, "x")]).splitlines()
    assert len(lines) == 3
    assert len(re.findall(r"(?<!\\)\|", lines[2])) == 3


def test_links_out_of_the_pages_lead_to_the_host(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    docs, page = tmp_path / "docs", tmp_path / "docs" / "deep" / "page.md"
    page.parent.mkdir(parents=True)
    (tmp_path / "code.py").touch()
    text = "[a](../../code.py#L3) [b](../other.md) ![c](../../c.png) [d](https://x/../y) [e](#e)"
    found = links.outside(text, page, docs, URL)
    assert found == text.replace("../../code.py", f"{URL}/code.py")
    with caplog.at_level(logging.WARNING):
        assert links.outside("[a](../../gone.py)", page, docs, URL) == f"[a]({URL}/gone.py)"


def test_every_diagram_has_the_picture_of_its_source_which_needs_nothing_else() -> None:
    names = set()
    for page in DOCS.glob("*.md"):
        for source in diagrams.sources(page.read_text(encoding="utf-8")):
            names.add(diagrams.picture_name(page.stem, source))
    assert names == {file.name for file in (DOCS / diagrams.FOLDER).iterdir()}, "run tools/diagrams.py"
    for name in names:
        outside = set(re.findall(r"(?:https?:)?//[\w.]+", (DOCS / diagrams.FOLDER / name).read_text(encoding="utf-8")))
        assert outside <= {"http://www.w3.org"}  # names of XML, which nobody fetches


def test_a_diagram_without_its_picture_is_a_warning_and_stays_readable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "a\n```mermaid\nflowchart LR\n  a --> b\n```\nb\n"
    with caplog.at_level(logging.WARNING):
        found = diagrams.with_pictures(text, tmp_path / "page.md", tmp_path)
    assert found == text.replace("mermaid", "text")
    (source,) = diagrams.sources(text)
    picture = tmp_path / diagrams.FOLDER / diagrams.picture_name("page", source)
    picture.parent.mkdir()
    picture.touch()
    assert (
        diagrams.with_pictures(text, tmp_path / "page.md", tmp_path) == f"a\n![diagram](/diagrams/{picture.name})\nb\n"
    )


@pytest.fixture(scope="module")
def graphs() -> dict[str, list[node_graph.Row]]:
    return node_graph.graphs()


def described(node: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(kind, name) -> (type, QoS) in the tables of docs/ros_interface.md; the contract's topics are left out."""
    text = (DOCS / "ros_interface.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {node} .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    found = {}
    for line in re.findall(r"^\| `.*$", section, re.MULTILINE):
        name, type_, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        if "/" not in type_:
            continue  # a parameter
        is_topic = rest[0] in ("in", "out")
        name = name.strip("`")
        name = name if name.startswith(("~", "/")) else f"/{name}"
        found[rest[0] if is_topic else "service", name] = (type_, rest[1] if is_topic else "")
    return found


@pytest.mark.ros
@pytest.mark.parametrize("node", node_graph.PARAMETERS)
def test_the_interfaces_tables_are_those_of_the_nodes(node: str, graphs: dict[str, list[node_graph.Row]]) -> None:
    own = {(row["kind"], row["name"]): row for row in graphs[node]}
    assert own
    tables_rows = described(node)
    for key, (type_, qos) in tables_rows.items():
        if key[1] in OPTIONAL or (row := own.get(key)) is None:
            assert key[1] in OPTIONAL, f"{node} has no {key}"
            continue
        assert row["type"] == type_, key
        assert qos in ("like the states",) or qos.startswith(row["qos"]), key
    of_contract = (
        {"/joint_states", "/valve/joint_states", "/hand_controller/commands"} if node != "joint_poller" else set()
    )
    silent = [key for key in own if key not in tables_rows and key[1] not in of_contract]
    # The logger hears what others tell, and all nodes report.
    assert not [key for key in silent if key[1] != "/diagnostics" and not (node == "logger" and key[0] == "in")]


# Heard where a contract or a parameter asks for it.
OPTIONAL = {"/tf_static", "/controller/goal"}
