# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Launch arguments reach the nodes; what is wrong in them ends the launch before a node is started."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")

pytestmark = [pytest.mark.ros, pytest.mark.slow]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("contract", "/nowhere/hand.yaml", ["contract", "/nowhere/hand.yaml", "no such file"]),
        ("controller_params", "/nowhere/c.yaml", ["controller_params", "/nowhere/c.yaml", "no such file"]),
        ("logger_params", "/nowhere/l.yaml", ["logger_params", "/nowhere/l.yaml", "no such file"]),
        ("sim_params", "/nowhere/s.yaml", ["sim_params", "/nowhere/s.yaml", "no such file"]),
        ("params_file", "/nowhere/p.yaml", ["params_file", "/nowhere/p.yaml", "no such file"]),
        ("controller_params", "/", ["controller_params", "directory"]),
        ("remap", "joint_states", ["remap", "from=to"]),
        ("log_level", "loud", ["log_level", "loud"]),
        ("activate", "perhaps", ["activate", "perhaps"]),
    ],
)
def test_what_is_wrong_is_said_before_anything_moves(launch, name, value, words):
    it = launch("sim", **{name: value})
    assert it.wait_for_exit() == 1
    assert all(word in it.output for word in words), it.output
    assert "process started" not in it.output


def test_a_file_for_other_nodes_is_refused(launch, small, tmp_path):
    (tmp_path / "mine.yaml").write_text("/left/controller: {ros__parameters: {seed: 3}}")
    given = small | {"controller_params": tmp_path / "mine.yaml", "params_file": small["controller_params"]}
    it = launch("robot", **given)
    assert it.wait_for_exit() == 1
    assert "nothing in it is for /controller; it is for /left/controller" in it.output
    it = launch("robot", **given, namespace="left")
    it.wait_for_state("/left/controller", "active")


def value_of(ros, node: str, name: str):
    from rcl_interfaces.srv import GetParameters
    from rclpy.parameter import parameter_value_to_python

    answer = ros.call(f"{node}/get_parameters", GetParameters, GetParameters.Request(names=[name]))
    return parameter_value_to_python(answer.values[0])


def test_what_the_arguments_say_reaches_the_nodes(launch, ros, small, tmp_path):
    (tmp_path / "own.yaml").write_text("/**/controller: {ros__parameters: {seed: 3, max_jump: 1.5}}")
    (tmp_path / "all.yaml").write_text(
        Path(small["controller_params"]).read_text()
        + "/**: {ros__parameters: {seed: 4}}\nlogger: {ros__parameters: {before_s: 2.0}}"
    )
    files = {"controller_params": tmp_path / "own.yaml", "params_file": tmp_path / "all.yaml"}
    it = launch(
        "robot", **(small | files | {"planner.name": "cem"}), use_sim_time="True", log_level="warn", model="v0002"
    )
    it.wait_for_state("/controller", "active")
    names = ("seed", "max_jump", "use_sim_time", "model_version", "planner.name")
    assert [value_of(ros, "/controller", name) for name in names] == [4, 1.5, True, "v0002", "cem"]
    assert [value_of(ros, "/logger", name) for name in ("before_s", "use_sim_time")] == [2.0, True]
    assert not re.search(r"\[(controller|logger)-\d+\] \[INFO\]", it.output)


def test_files_and_global_parameters_decide_where_no_argument_does(launch, ros, small):
    it = launch(f"SetParameter('use_sim_time', True), include('robot', **{small})")
    it.wait_for_state("/controller", "active")
    assert value_of(ros, "/controller", "use_sim_time") is True
    assert value_of(ros, "/logger", "use_sim_time") is True


def test_a_second_sim_leaves_the_clock_to_the_first(launch, ros, small_valve):
    it = launch("sim", **small_valve, publish_clock="false", log="false")
    it.wait_for_state("/sim", "active")
    assert value_of(ros, "/sim", "publish_clock") is False
    assert ros.node.count_publishers("/clock") == 0
    assert ros.node.count_publishers("/joint_states") == 1


def test_retraining_is_told_what_the_arguments_say(launch, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    given = {"episodes": f"{tmp_path}/a,{tmp_path}/b", "contract": "claw_valve.yaml", "notes": "--odd 'notes'"}
    it = launch("retrain", task="valve", warm="true", **given)
    assert it.wait_for_exit() == 0
    command = it.output.partition("process has died")[2]
    assert "exit code 2" in command  # there are no episodes
    for option in (
        "retrain valve",
        "config/claw_valve.yaml",
        f"--episodes={tmp_path}/a --episodes={tmp_path}/b",
        "--warm",
        "--notes=--odd 'notes'",
    ):
        assert option in command


@pytest.mark.parametrize("name", ["contract", "episodes"])
def test_retraining_from_what_is_not_there_is_refused(launch, name):
    it = launch("retrain", **{name: "/nowhere/at/all"})
    assert it.wait_for_exit() == 1
    assert f"{name}: /nowhere/at/all: there is no such file" in it.output
