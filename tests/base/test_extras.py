# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What to install is named by this checkout or by the packages: the package's own name may be another's on an index."""

from __future__ import annotations

import ast
import re
import shlex
from importlib import metadata
from pathlib import Path

import pytest

from mbrl_controller.base import extras
from mbrl_controller.base.extras import EXTRAS, extra_of, how_to_install

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = [
    "numpy>=1.24",
    'torch==2.13.0; extra == "train"',
    "onnx>=1.17 ; extra == 'train'",
    'mjviser>=0.0.14; extra == "viewer"',
    'pillow; python_version > "3" and extra == "sim"',
]


def test_modules_belong_to_extras() -> None:
    assert extra_of("torch.nn") == "train"
    assert extra_of("rclpy") == "ros"
    assert extra_of("os") is None
    assert extra_of("") is None


@pytest.mark.parametrize("extra", EXTRAS)
def test_in_a_checkout_it_is_installed_from_there(extra: str) -> None:
    if not (ROOT / "setup.py").is_file():
        pytest.skip("runs in a checkout")
    command = how_to_install(extra)
    assert f"'.[{extra}]'" in command
    assert str(ROOT) in command


def test_elsewhere_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "checkout_dir", lambda: None)
    monkeypatch.setattr(metadata, "requires", lambda name: REQUIRED)
    assert shlex.split(how_to_install("train")) == ["pip", "install", "torch==2.13.0", "onnx>=1.17"]
    assert shlex.split(how_to_install("sim")) == ["pip", "install", "pillow"]
    assert "mbrl_controller" not in how_to_install("ros")


def test_without_metadata_it_is_the_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "checkout_dir", lambda: None)
    monkeypatch.setattr(metadata, "requires", nothing)
    assert how_to_install("viewer") == "pip install mjviser viser"


@pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="runs in a checkout")
def test_the_extras_are_those_of_setup_py_and_no_text_installs_the_package_by_name() -> None:
    texts = [*(ROOT / "mbrl_controller").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    for path in [*texts, *(ROOT / "config").glob("*.yaml")]:
        assert not re.search(r"pip3? install[^\n]*mbrl[_-]controller\[?", path.read_text()), path
    (call,) = [node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if _is_setup(node)]
    (declared,) = [k.value for k in call.keywords if k.arg == "extras_require"]
    assert isinstance(declared, ast.Dict)
    assert set(EXTRAS) <= {key.value for key in declared.keys if isinstance(key, ast.Constant)}


def _is_setup(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setup"
