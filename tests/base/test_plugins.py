# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Plug-ins as installed packages: a distribution is a folder on sys.path with metadata."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mbrl_controller.base.errors import ContractError, MbrlError
from mbrl_controller.base.plugins import Catalog, PluginError, subclass_of

GROUP = "mbrl_controller.test_shapes"


class Shape(ABC):
    """What the plug-ins of these tests are."""

    name: str

    @abstractmethod
    def area(self) -> float:
        """m^2."""


GOOD = "class Square(Shape):\n    name = 'square'\n    def area(self): return 4.0\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution on sys.path: its name, version, entry points of the group and the code of its module."""

    def run(package: str, points: dict[str, str], code: str, version: str = "1.0") -> None:
        folder = tmp_path / package
        info = folder / f"{package}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = "".join(f"{name} = {target}\n" for name, target in points.items())
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
        (folder / f"{package}.py").write_text(code)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, package, raising=False)  # of a test before
        monkeypatch.setattr("builtins.Shape", Shape, raising=False)  # these modules cannot import a test file

    return run


def catalog(**more: Any) -> Catalog[type[Shape]]:
    return Catalog(GROUP, "shape", subclass_of(Shape, ("name",)), **more)


def test_a_class_is_found_by_its_name(install: Callable[..., None]) -> None:
    install("shapes_a", {"square": "shapes_a:Square"}, GOOD)
    shapes = catalog()
    assert shapes.names() == ["square"]
    assert shapes["square"]().area() == 4.0
    assert shapes.offers["square"][0].package == "shapes_a 1.0"
    assert "square" in shapes
    assert "circle" not in shapes


def test_nothing_is_imported_before_it_is_asked_for(install: Callable[..., None]) -> None:
    install("shapes_b", {"square": "shapes_b:Square"}, "raise RuntimeError('imported')\n")
    assert catalog().names() == ["square"]


def test_an_unknown_name_lists_the_known_ones(install: Callable[..., None]) -> None:
    install("shapes_c", {"square": "shapes_c:Square"}, GOOD)
    with pytest.raises(ContractError, match=r"shape 'cube'.*square"):
        catalog(error=ContractError)["cube"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import a_module_that_nobody_has", "a_module_that_nobody_has"),
        ("raise SystemError", "SystemError"),
        ("x = 1", "Square"),
        ("Square = 7", "no subclass"),
        ("class Square: pass", "no subclass"),
        ("class Square(Shape):\n    name = 'square'", "area"),
        ("class Square(Shape):\n    def area(self): return 1.0", "name"),
        ("class Square(Shape:", "SyntaxError"),
    ],
)
def test_a_faulty_package_is_named_and_the_others_work(install: Callable[..., None], code: str, said: str) -> None:
    install("faulty", {"square": "faulty:Square"}, code, version="0.3")
    install("sound", {"disc": "sound:Disc"}, GOOD.replace("Square", "Disc").replace("square", "disc"))
    shapes = catalog()
    with pytest.raises(PluginError, match=r"faulty 0\.3") as raised:
        shapes["square"]
    assert said in str(raised.value)
    assert shapes["disc"]().area() == 4.0
    assert list(shapes) == ["disc"]
    assert list(shapes.faults()) == ["square"]


def test_a_name_of_two_packages_is_neithers(install: Callable[..., None]) -> None:
    install(
        "first",
        {"square": "first:Square", "disc": "first:Disc"},
        GOOD + GOOD.replace("Square", "Disc").replace("square", "disc"),
    )
    install("second", {"square": "second:Square"}, GOOD)
    shapes = catalog()
    with pytest.raises(PluginError, match=r"first 1\.0 and second 1\.0"):
        shapes["square"]
    assert shapes["disc"]().area() == 4.0


def test_a_class_whose_own_name_is_another_is_refused(install: Callable[..., None]) -> None:
    install("misnamed", {"circle": "misnamed:Square"}, GOOD)
    with pytest.raises(PluginError, match=r"misnamed 1\.0.*'square'"):
        catalog()["circle"]


def test_a_script_may_add_and_replace_in_its_own_process(install: Callable[..., None]) -> None:
    class Disc(Shape):
        name = "disc"

        def area(self) -> float:
            return 3.0

    install("shapes_d", {"square": "shapes_d:Square"}, GOOD)
    shapes, others = catalog(), catalog()
    shapes.add("disc", Disc)
    assert list(shapes) == ["disc", "square"]
    assert list(others) == ["square"]
    with pytest.raises(PluginError, match="no subclass"):
        shapes.add("disc", 3)  # type: ignore[arg-type]


def test_what_is_installed_later_is_found_after_forgetting(install: Callable[..., None]) -> None:
    shapes = catalog()
    assert shapes.names() == []
    with pytest.raises(MbrlError, match="installed"):
        shapes["square"]
    install("late", {"square": "late:Square"}, GOOD)
    shapes.forget()
    assert shapes["square"]().area() == 4.0
