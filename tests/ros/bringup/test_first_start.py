# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A launch takes its nodes to active once. All later transitions are a person's, and so is what follows from them."""

from __future__ import annotations

import pytest

pytest.importorskip("launch_ros")

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_a_persons_configure_does_not_activate(launch, ros, small):
    it = launch("robot", **small)
    it.wait_for_state("/controller", "active")
    it.wait_for_state("/logger", "active")
    for transition in ("deactivate", "cleanup", "configure"):
        assert ros.change("/controller", transition)
    assert it.stays("/controller", "inactive")
    # a logger's coming back starts nothing either
    for transition in ("deactivate", "activate"):
        assert ros.change("/logger", transition)
    assert it.stays("/controller", "inactive")
    assert ros.change("/controller", "activate")


def test_a_first_configure_that_is_refused_was_the_first_start(launch, ros, small):
    it = launch("robot", **small, model="v0009")
    it.wait_for("/controller refused to configure", "ros2 lifecycle set /controller activate")
    assert "ros2 lifecycle set /logger" not in it.output
    # The refusal is told while the transition is still on its way back.
    ros.wait(lambda: it.state("/controller") == "unconfigured", "the way back to unconfigured")
    assert ros.set_parameters("/controller", model_version="v0001").successful
    assert ros.change("/controller", "configure")
    assert it.stays("/controller", "inactive")


def test_a_logger_that_refuses_leaves_the_controller_to_a_person(launch, ros, small, tmp_path):
    (tmp_path / "logger.yaml").write_text("logger: {ros__parameters: {controller: not a name}}")
    it = launch("robot", **small, logger_params=tmp_path / "logger.yaml")
    it.wait_for("/logger refused to configure", "ros2 lifecycle set /controller activate")
    assert ros.set_parameters("/logger", controller="controller").successful
    assert ros.change("/logger", "configure")
    assert ros.change("/logger", "activate")
    assert it.stays("/controller", "unconfigured")


def test_a_logger_that_dies_at_the_start_does_not_keep_the_controller_from_starting(launch, small):
    it = launch("robot", **small)
    it.wait_for("[logger-1]: process started")
    it.kill("logger")
    it.wait_for_state("/controller", "active")
    it.wait_for_state("/logger", "active")
    assert len(it.pids("logger")) == 2


@pytest.mark.parametrize("log", ["true", "false"])
def test_activate_false_leaves_it_configured(launch, small, log):
    it = launch("robot", **small, activate="false", log=log)
    it.wait_for_state("/controller", "inactive")
    assert it.stays("/controller", "inactive")
    assert bool(it.pids("logger")) is (log == "true")
