# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from mbrl_controller.nodes.controller_output import STATES
from mbrl_controller.panel import words


def test_each_state_of_the_controller_has_words() -> None:
    assert set(STATES) | {words.GONE} == set(words.WORDS)


def test_a_tick_tells_the_state_first_then_diagnostics() -> None:
    report = {"safety state": "stopped"}
    assert words.state_of({"safety_state": 2.0}, report, True) == "running"
    assert words.state_of({"safety_state": 2.0}, report, False) == "stopped"
    assert words.state_of({"safety_state": float("nan")}, report, True) == "stopped"
    assert words.state_of({}, {"safety state": "unheard of"}, False) == "inactive"
    assert words.state_of({}, None, False) == words.GONE


def test_reasons_are_shown_where_they_say_more_and_never_as_html() -> None:
    shown = words.bar("holding", "<script>alert(1)</script>", [("model", "<b>v1"), ("none", "")])
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<b>v1" not in shown
    assert "none" not in shown
    assert "planning" not in words.bar("running", "planning", ())
    assert "&amp;" in words.lines(["a & b"])
