# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which nodes a parameter file is for, by ROS's own rules; and what is said of files that are for nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.bringup.parameter_files import check_concerns, for_nodes, matches, parameter_file


@pytest.mark.parametrize(
    ("text", "nodes"),
    [  # as rclpy was seen to take them, for /controller and /left/controller
        ("/**: {ros__parameters: {a: 1}}", ["/controller", "/left/controller"]),
        ("/**: {controller: {ros__parameters: {a: 1}}}", ["/controller", "/left/controller"]),
        ("/**/controller: {ros__parameters: {a: 1}}", ["/controller", "/left/controller"]),
        ("controller: {ros__parameters: {a: 1}}", ["/controller"]),
        ("/controller: {ros__parameters: {a: 1}}", ["/controller"]),
        ("/left/controller: {ros__parameters: {a: 1}}", ["/left/controller"]),
        ("left: {controller: {ros__parameters: {a: 1}}}", ["/left/controller"]),
        ("/*/controller: {ros__parameters: {a: 1}}", ["/left/controller"]),
        ("/a/b/controller: {ros__parameters: {a: 1}}", []),
        ("/control.er: {ros__parameters: {a: 1}}", []),
        ("", []),
    ],
)
def test_nodes_of_a_file(tmp_path: Path, text: str, nodes: list[str]) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    for node in ("/controller", "/left/controller"):
        assert any(matches(name, node) for name in for_nodes(path)) is (node in nodes)
        if node in nodes:
            check_concerns("controller_params", path, node)
        else:
            with pytest.raises(MbrlError, match=rf"controller_params: {path}: nothing in it is for {node}; it is "):
                check_concerns("controller_params", path, node)


def test_a_files_parameters_are_not_taken_for_nodes(tmp_path: Path) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text("sim: {ros__parameters: {controller: {ros__parameters: {a: 1}}}}")
    assert for_nodes(path) == ["/sim"]


@pytest.mark.parametrize(("text", "reason"), [("- 1", "no parameter file"), ("a: [", "expected"), ("a: b: c", "map")])
def test_what_is_no_parameter_file(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    with pytest.raises(MbrlError, match=rf"launch argument sim_params: {path}: .*{reason}"):
        parameter_file("sim_params", str(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MbrlError, match=r"launch argument sim_params: .*/none.yaml: there is no such file"):
        parameter_file("sim_params", str(tmp_path / "none.yaml"))
    with pytest.raises(MbrlError, match=r"launch argument sim_params: .*: Is a directory"):
        parameter_file("sim_params", str(tmp_path))
    with pytest.raises(MbrlError, match=r"launch argument sim_params: '~no-such-person/x.yaml': "):
        parameter_file("sim_params", "~no-such-person/x.yaml")


def test_home_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.yaml").write_text("sim: {ros__parameters: {seed: 1}}")
    assert parameter_file("sim_params", "~/own.yaml") == tmp_path / "own.yaml"


@pytest.mark.parametrize("node", ["controller", "logger", "sim"])
def test_the_shipped_files_are_for_their_nodes_in_any_namespace(node: str) -> None:
    for name in (f"/{node}", f"/left/{node}"):
        check_concerns(f"{node}_params", parameter_file("x", str(share_dir() / "config" / f"{node}.yaml")), name)
