# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Defaults of a task."""

from __future__ import annotations

from mbrl_controller.control.task_config import planner_defaults


def test_who_names_another_planner_than_the_usual_one_sees_it_act() -> None:
    assert planner_defaults("valve", "pddm").policy == "auto"
    assert planner_defaults("valve", "cem").policy == "controller"
