"""Launch files, as far as Python can check them without ROS's launch, and for real where that is installed."""

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
BRINGUP = ROOT / "mbrl_controller" / "bringup.py"

pytestmark = pytest.mark.skipif(not LAUNCH_FILES, reason="runs in a checkout")


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    """Calls of a function or class called `name`, plain or as an attribute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == name:
                yield node


def arguments(path: Path) -> dict[str, ast.Call]:
    """The launch arguments that a file declares, by name."""
    return {ast.literal_eval(call.args[0]): call for call in calls(path, "DeclareLaunchArgument")}


def test_the_launch_files_are_these() -> None:
    assert [path.name for path in LAUNCH_FILES] == ["retrain.launch.py", "robot.launch.py", "sim.launch.py"]


@pytest.mark.parametrize("path", [*LAUNCH_FILES, BRINGUP], ids=lambda path: path.name)
def test_arguments_are_described_have_defaults_and_stand_in_the_readme(path: Path) -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    for name, call in arguments(path).items():
        given = {keyword.arg for keyword in call.keywords}
        assert {"default_value", "description"} <= given, name
        assert name in rows, f"README lacks launch argument {name}"


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_files_define_what_ros2_launch_calls(path: Path) -> None:
    functions = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert "generate_launch_description" in functions


def test_files_that_are_named_exist() -> None:
    named = [call for path in (*LAUNCH_FILES, BRINGUP) for call in calls(path, "shared")]
    paths = [ROOT.joinpath(*map(ast.literal_eval, call.args)) for call in named]
    assert paths
    assert not [path for path in paths if not path.is_file()]


def test_nodes_that_are_started_are_installed() -> None:
    text = BRINGUP.read_text() + "".join(path.read_text() for path in LAUNCH_FILES)
    started = set(re.findall(r'(?:_lifecycle_node\(\s*|executable=)"(\w+)"', text))
    installed = set(re.findall(r'"(\w+)": "mbrl_controller\.', (ROOT / "setup.py").read_text()))
    assert started == {"controller", "logger", "sim", "retrain"}
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
    expected = set(arguments(path))
    if "common_arguments" in path.read_text():
        expected |= set(arguments(BRINGUP))
    assert declared == expected


def test_ros2_launch_lists_the_arguments() -> None:
    pytest.importorskip("ros2launch")
    code = "from ros2cli.cli import main; import sys; sys.exit(main())"
    path = ROOT / "launch" / "sim.launch.py"
    command = [sys.executable, "-c", code, "launch", str(path), "--show-args"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert set(re.findall(r"^    '(\w+)':$", shown, re.MULTILINE)) == set(arguments(path)) | set(arguments(BRINGUP))
