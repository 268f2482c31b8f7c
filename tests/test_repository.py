# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What stands around the package: versions, release notes and hosted checks agree with one another."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

import mbrl_controller

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="runs in a checkout")


def text(name: str) -> str:
    """A file of the repository; one whose name begins with a dot is not in the source distribution."""
    path = ROOT / name
    if not path.is_file() and name.startswith("."):
        pytest.skip(f"{name}: runs in a clone")
    return path.read_text(encoding="utf-8")


def test_versions_agree() -> None:
    written = re.search(r'version="([^"]+)"', text("setup.py"))
    assert written is not None
    versions = {
        "setup.py": written[1],
        "package.xml": ET.fromstring(text("package.xml")).findtext("version"),
        "CITATION.cff": yaml.safe_load(text("CITATION.cff"))["version"],
    }
    assert set(versions.values()) == {mbrl_controller.__version__}, versions


def heading_anchors(file: Path) -> set[str]:
    """The anchors that a host of repositories makes of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
    broken = []
    for file in documents:
        for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text(encoding="utf-8")):
            path, _, anchor = link.partition("#")
            target = file.parent / path if path else file
            if "://" not in link and not (target.exists() and (not anchor or anchor in heading_anchors(target))):
                broken.append(f"{file.relative_to(ROOT)}: {link}")
    assert len(documents) > 10
    assert not broken


def test_every_page_is_in_the_sites_table_of_contents() -> None:
    """Sphinx says the same, as an error, where it is installed."""
    index = text("docs/index.md")
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    listed = {line for block in re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL) for line in block.splitlines()}
    assert not pages - listed - {"index"}, "add it to a table of contents in docs/index.md"


def test_release_notes_begin_with_this_version() -> None:
    """Bold paragraphs and no subsections: what makes packages of ROS packages leaves out the text of those."""
    sections = re.findall(r"^(\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)\n-+$", text("CHANGELOG.rst"), re.MULTILINE)
    released = str(yaml.safe_load(text("CITATION.cff"))["date-released"])
    assert sections[0] == (mbrl_controller.__version__, released)
    kinds = re.findall(r"^\*\*(\w+)\*\*$", text("CHANGELOG.rst"), re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Fixed", "Deprecated"}
    assert kinds


def test_release_notes_name_every_deprecated_name() -> None:
    """Those in the tables that code passes to `base/deprecated.py`, which are called RENAMED..."""
    renamed = [
        (key.value, value.value)
        for path in (ROOT / "mbrl_controller").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and "RENAMED" in ast.unparse(node.targets[0])
        for table in ast.walk(node.value)
        if isinstance(table, ast.Dict)
        for key, value in zip(table.keys, table.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    ]
    notes = text("CHANGELOG.rst").partition("**Deprecated**")[2]
    assert renamed
    assert not [pair for pair in renamed if not all(re.search(rf"[`.]{re.escape(name)}``", notes) for name in pair)]


def test_pre_commit_runs_the_pinned_versions() -> None:
    pinned = dict(re.findall(r'"(ruff|codespell)(?:\[\w+\])?==([\d.]+)"', text("setup.py")))
    repositories = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    revisions = {re.sub(r".*/(ruff|codespell).*", r"\1", r["repo"]): r["rev"].lstrip("v") for r in repositories}
    assert revisions == pinned


def hosted_jobs() -> dict[str, list[str]]:
    """The commands of each job of the workflow."""
    workflow: dict[str, Any] = yaml.safe_load(text(".github/workflows/ci.yml"))
    return {name: [s["run"] for s in job["steps"] if "run" in s] for name, job in workflow["jobs"].items()}


def test_hosted_checks_run_what_ci_run_does() -> None:
    workflow: dict[str, Any] = yaml.safe_load(text(".github/workflows/ci.yml"))
    runs = {row["python"]: row["run"] for row in workflow["jobs"]["wheels"]["strategy"]["matrix"]["include"]}
    assert runs == {"3.10": "make test ALL=1", "3.12": ".ci/run"}
    assert runs["3.10"] in text(".ci/run")
    assert hosted_jobs()["wheels"] == ["${{ matrix.run }}"]


def test_hosted_colcon_job_runs_the_commands_of_the_readme() -> None:
    block = re.search(r"^With colcon(?:.+\n)+\n((?:    .*\n)+)", text("README.md"), re.MULTILINE)
    assert block
    hosted = "\n".join(hosted_jobs()["colcon"])
    wanted = [line.split("  #")[0].strip() for line in block[1].splitlines() if "ros2 launch" not in line]
    assert len(wanted) > 5
    assert not [line for line in wanted if line not in hosted]
