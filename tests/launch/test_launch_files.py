# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Launch files, as far as Python can check them without ROS's launch; for real they are run in tests/ros/bringup."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
BRINGUP = sorted((ROOT / "mbrl_controller" / "bringup").glob("*.py"))
DECLARED_BY = {"hand_arguments": "arguments", "sim_arguments": "arguments", "retrain_arguments": "retraining"}

pytestmark = pytest.mark.skipif(not LAUNCH_FILES, reason="runs in a checkout")


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    """Calls of a function or class called `name`, plain or as an attribute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == name:
                yield node


def arguments(path: Path) -> dict[str, ast.Call]:
    """The launch arguments that a launch file declares, by name."""
    found: dict[str, ast.Call] = {}
    for name, module in DECLARED_BY.items():
        if not list(calls(path, name)):
            continue
        tree = ast.parse((ROOT / "mbrl_controller" / "bringup" / f"{module}.py").read_text())
        function = next(f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == name)
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            if getattr(call.func, "id", "") == "DeclareLaunchArgument":
                found[ast.literal_eval(call.args[0])] = call
    return found


def documented_arguments() -> dict[str, set[str]]:
    """Launch arguments in the table of docs/launch.md, with the launch files that it says have them."""
    rows = re.findall(r"^\| `([\w.]+)` \| ([a-z, ]+) \|", (ROOT / "docs" / "launch.md").read_text(), re.MULTILINE)
    return {name: set(files.split(", ")) for name, files in rows}


def test_the_launch_files_are_these() -> None:
    assert [path.name for path in LAUNCH_FILES] == ["retrain.launch.py", "robot.launch.py", "sim.launch.py"]


def test_arguments_are_described_and_have_defaults() -> None:
    assert len(list(calls(BRINGUP[0].parent / "arguments.py", "DeclareLaunchArgument"))) > 10
    for path in BRINGUP:
        for call in calls(path, "DeclareLaunchArgument"):
            assert {"default_value", "description"} <= {keyword.arg for keyword in call.keywords}, ast.unparse(call)


def test_the_documentation_lists_the_arguments_of_each_file() -> None:
    declared: dict[str, set[str]] = {}
    for path in LAUNCH_FILES:
        for name in arguments(path):
            declared.setdefault(name, set()).add(path.name.partition(".")[0])
    assert documented_arguments() == declared


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_files_define_what_ros2_launch_calls(path: Path) -> None:
    functions = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert "generate_launch_description" in functions


def test_files_that_are_named_exist() -> None:
    named = [call for path in BRINGUP for call in calls(path, "shared")]
    paths = [ROOT.joinpath(*map(ast.literal_eval, call.args)) for call in named]
    assert paths
    assert not [path for path in paths if not path.is_file()]


def test_nodes_that_are_started_are_installed() -> None:
    text = "".join(path.read_text() for path in BRINGUP)
    started = set(re.findall(r'(?:_described\(\s*|executable=)"(\w+)"', text))
    installed = set(re.findall(r'"(\w+)": "mbrl_controller\.', (ROOT / "setup.py").read_text()))
    assert started == {"controller", "logger", "panel", "signals", "sim", "retrain"}
    assert started <= installed


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_ros_takes_the_description(path: Path) -> None:
    pytest.importorskip("launch_ros")
    spec = importlib.util.spec_from_file_location(path.name.partition(".")[0], path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    declared = {argument.name for argument in module.generate_launch_description().get_launch_arguments()}
    assert declared == set(arguments(path))


def test_ros2_launch_lists_the_arguments() -> None:
    pytest.importorskip("ros2launch")
    code = "from ros2cli.cli import main; import sys; sys.exit(main())"
    path = ROOT / "launch" / "sim.launch.py"
    command = [sys.executable, "-c", code, "launch", str(path), "--show-args"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert set(re.findall(r"^    '(\w+)':$", shown, re.MULTILINE)) == set(arguments(path))
