# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the end of each node leads to, in a launch that runs other things as well."""

from __future__ import annotations

import pytest

pytest.importorskip("launch_ros")

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DRIVER = "ExecuteProcess(cmd=['sleep', '600'], name='driver')"


def test_a_logger_that_is_killed_is_replaced_again_and_again(launch, small):
    it = launch("robot", **small)
    it.wait_for_state("/controller", "active")
    for kills in (1, 2):
        it.wait_for_state("/logger", "active")
        it.kill("logger")
        it.ros.wait(lambda n=kills: len(it.pids("logger")) > n, "another logger")
    it.wait_for_state("/logger", "active")
    assert it.state("/controller") == "active"
    assert len(it.pids("controller")) == 1


def test_a_controller_that_is_killed_takes_its_logger_along_and_nothing_else(launch, small):
    it = launch(f"{DRIVER}, include('robot', **{small})")
    it.wait_for_state("/controller", "active")
    it.kill("controller")
    it.wait_for("/controller ended with -9: ending its other nodes", "[logger-2]: process has finished cleanly")
    assert it.alive(*it.pids("driver"))
    assert it.process.alive
    assert it.process.stop() == 0


def test_a_launch_of_nothing_else_ends_with_the_controller(launch, small):
    it = launch("robot", **small)
    it.wait_for_state("/controller", "active")
    it.kill("controller")
    assert it.wait_for_exit() == 0
    assert len(it.pids("logger")) == 1


@pytest.mark.parametrize("log", ["true", "false"])
def test_a_controller_that_cannot_even_start_keeps_nothing_waiting(launch, small, tmp_path, log):
    # ROS refuses a list of mixed types before there is a node
    (tmp_path / "bad.yaml").write_text("controller: {ros__parameters: {cpus: [1, one]}}")
    it = launch("robot", **(small | {"controller_params": tmp_path / "bad.yaml"}), log=log)
    assert it.wait_for_exit() == 0
    assert "/controller ended with 1" in it.output


def test_a_required_controller_ends_the_launch_and_gives_it_a_status(launch, small):
    it = launch(f"{DRIVER}, include('robot', required='true', **{small})")
    it.wait_for_state("/controller", "active")
    it.kill("controller")
    assert it.wait_for_exit() == 1
    assert not it.alive(*it.pids("driver"))
    assert "in launch (see debug for traceback): /controller ended with -9" in it.output


def test_a_sim_that_is_killed_ends_its_controller_first(launch, small_valve):
    it = launch(f"{DRIVER}, include('sim', **{small_valve})")
    it.wait_for_state("/controller", "active")
    it.wait_for_state("/logger", "active")
    it.kill("sim")
    it.wait_for("/sim ended with -9: ending its controller", "/controller ended with", "[logger-3]: process has fin")
    assert it.output.index("/controller ended with") < it.output.index("SIGINT' to process[logger-3]")
    assert it.alive(*it.pids("driver"))


def test_the_status_tells_of_a_required_sim_that_was_killed(launch, small_valve):
    it = launch("sim", **small_valve, required="true", log="false")
    it.wait_for_state("/controller", "active")
    it.kill("sim")
    assert it.wait_for_exit() == 1
    assert "in launch (see debug for traceback): /sim ended with -9" in it.output


def test_respawn_brings_them_back_and_leaves_the_controller_unconfigured(launch, ros, small_valve):
    it = launch("sim", **small_valve, respawn="true")
    it.wait_for_state("/controller", "active")
    it.kill("controller")
    it.wait_for_state("/controller", "unconfigured")
    assert it.stays("/controller", "unconfigured")
    it.kill("sim")
    it.ros.wait(lambda: len(it.pids("sim")) == 2, "another sim")
    it.wait_for_state("/sim", "active")
    assert len(it.pids("logger")) == 1
    assert ros.change("/controller", "configure")
    assert it.stays("/controller", "inactive")
    assert it.process.stop() == 0


def test_respawn_and_required_exclude_each_other(launch, small):
    it = launch("robot", **small, respawn="true", required="true")
    assert it.wait_for_exit() == 1
    assert "respawn and required" in it.output
    assert not it.pids("controller")
