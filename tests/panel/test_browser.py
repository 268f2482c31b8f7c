# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A person's clicks in a real browser, and what the real nodes make of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from mbrl_controller.nodes import qos

from .conftest import show_tab

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def press(found: Any) -> None:
    """Click what is found, without the frames that a page without a GPU takes long to draw."""
    found.first.evaluate("element => element.click()")


def click(page: Any, label: str) -> None:
    press(page.get_by_role("button", name=label, exact=True))


def tab(page: Any, label: str) -> None:
    show_tab(page, label)


def choose(page: Any, menu: str, option: str) -> None:
    press(entry(page, menu))
    press(page.get_by_role("option", name=option, exact=True))


def entry(page: Any, label: str) -> Any:
    """The text field of a widget."""
    row = page.locator("label", has_text=re.compile(f"^{re.escape(label)}$")).locator(
        "xpath=ancestor::*[contains(@class, 'mantine-Flex-root')][1]"
    )
    return row.locator("input:not([type=hidden])").last


def parameter(shown: Any, name: str) -> Any:
    answer = shown.service.ros.call("controller/get_parameters", GetParameters, GetParameters.Request(names=[name]))
    return parameter_value_to_python(answer.values[0])


@pytest.fixture
def page(shown: Any, open_page: Any) -> Any:
    found = open_page(shown.url)
    shown.wait_for_state(found, "running")
    return found


def test_the_stop_is_seen_in_two_browsers_and_only_a_reset_clears_it(shown: Any, page: Any, open_page: Any) -> None:
    other = open_page(shown.url)
    click(page, "EMERGENCY STOP")
    for one in (page, other):
        shown.wait_for_state(one, "stopped")
        shown.wait(lambda one=one: "e-stop" in one.locator("#safety-bar").inner_text(), "the reason")
    assert "e-stop" in shown.service.report("reason", "e-stop")[2]["reason"]
    click(other, "New episode")
    other.get_by_text("look at the hand, then reset").first.wait_for()
    assert shown.service.report("safety state", "stopped")
    click(other, "Reset")
    for one in (page, other):
        shown.wait_for_state(one, "running")


def test_hand_over_and_take_back(shown: Any, page: Any) -> None:
    click(page, "Hand over")
    shown.wait_for_state(page, "handed_over")
    assert shown.service.report("safety state", "handed_over")
    click(page, "Take back")
    shown.wait_for_state(page, "running")


def test_a_new_episode(shown: Any, page: Any) -> None:
    events = shown.service.ros.collect("controller/episode", String, qos.LATCHED)
    shown.wait(lambda: events, "the episode so far")
    before = json.loads(events[-1].data)["episode"]
    click(page, "New episode")
    shown.wait(lambda: json.loads(events[-1].data)["episode"] > before, "another episode")
    shown.wait(lambda: "began" in page.locator("#notes").inner_text(), "a line about it")


def test_a_version_is_loaded(shown: Any, page: Any) -> None:
    served = shown.service.model()
    wanted = "v0001" if served == "v0002" else "v0002"
    tab(page, "Model")
    choose(page, "version", wanted)
    click(page, "Load version")
    shown.service.report("model version", wanted)
    shown.wait(lambda: wanted in page.locator("#safety-bar").inner_text(), "the bar to name the version")


def test_a_version_that_is_refused_leaves_the_name_of_the_old_one(shown: Any, page: Any) -> None:
    served = parameter(shown, "model_version")
    tab(page, "Model")
    registry = shown.service.registry.root / "valve"
    broken = registry / "v0003"
    broken.mkdir()
    for file in (registry / "v0001").iterdir():
        (broken / file.name).write_bytes(b"{}" if file.suffix == ".json" else b"")
    click(page, "List again")
    choose(page, "version", "v0003")
    click(page, "Load version")
    page.get_by_text(re.compile("^load v0003 refused")).first.wait_for()
    shown.wait(lambda: parameter(shown, "model_version") == served, "the old name")


def test_the_logger_retrains_and_says_how_far_it_is(shown: Any, page: Any) -> None:
    tab(page, "Model")
    click(page, "Retrain")
    page.get_by_text(re.compile("^retrain refused")).first.wait_for()  # while an episode is logged
    click(page, "Hand over")
    shown.wait_for_state(page, "handed_over")
    for _ in range(20):  # until the logger has closed the episode's file
        click(page, "Retrain")
        shown.service.spin(1.0)
        if "retraining: " in page.locator("#notes").inner_text():
            break
    shown.wait(lambda: "retraining: done" in page.locator("#notes").inner_text(), "the job's end")
    assert "epoch 7 of 7" in page.locator("#notes").inner_text()
    click(page, "Take back")
    shown.wait_for_state(page, "running")


def test_settings_agree_in_two_browsers_and_follow_others(shown: Any, page: Any, open_page: Any) -> None:
    other = open_page(shown.url)
    for one in (page, other):
        tab(one, "Settings")
        press(one.get_by_text("Safety", exact=True))
    entry(page, "safe speed").fill("0.25")
    entry(page, "safe speed").press("Enter")
    shown.wait(lambda: parameter(shown, "safe_speed") == 0.25, "the controller to take it")
    shown.wait(lambda: entry(other, "safe speed").input_value() == "0.25", "the other browser to show it")
    assert shown.service.ros.set_parameters("controller", safe_speed=0.75).successful
    for one in (page, other):
        shown.wait(lambda one=one: entry(one, "safe speed").input_value() == "0.75", "what somebody else has set")


def test_a_refused_value_says_why_and_goes_back(shown: Any, page: Any) -> None:
    before = parameter(shown, "safe_speed")
    tab(page, "Settings")
    press(page.get_by_text("Safety", exact=True))
    entry(page, "safe speed").fill("0")
    entry(page, "safe speed").press("Enter")
    page.get_by_text(re.compile("safe_speed: 0.0 is not")).first.wait_for()
    assert parameter(shown, "safe_speed") == before
    shown.wait(lambda: float(entry(page, "safe speed").input_value()) == before, "the old value")


def test_goals_from_menus_and_sliders(shown: Any, page: Any) -> None:
    goals = shown.service.ros.collect("controller/set_goal", JointTrajectory)
    tab(page, "Goals")
    choose(page, "direction", "clockwise")
    click(page, "Set goal options")
    shown.wait(lambda: parameter(shown, "goal_options") == "direction=clockwise", "the options")
    entry(page, "angle (rad)").fill("far")
    shown.service.spin(2.0)  # until the panel has it
    click(page, "Set goal options")
    page.get_by_text(re.compile("angle must be a number")).first.wait_for()
    assert parameter(shown, "goal_options") == "direction=clockwise"
    press(page.get_by_text("One goal, from now on (rad)"))
    entry(page, "valve.target (rad)").fill("1.5")
    entry(page, "valve.target (rad)").press("Enter")
    shown.service.spin(2.0)
    click(page, "Send goal")
    shown.wait(lambda: goals, "a goal")
    assert goals[-1].points[0].positions[0] == 1.5


def test_without_the_token_one_may_only_look(shown: Any, open_page: Any, tmp_path: Any) -> None:
    secret = tmp_path / "token"
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    page = open_page(shown.start_panel(token_file=str(secret), port=8200))
    shown.wait_for_state(page, "running")
    stop = page.get_by_role("button", name="EMERGENCY STOP")
    entry(page, "token").wait_for()
    assert not stop.count()
    entry(page, "token").fill("wrong horse")
    click(page, "Steer")
    page.get_by_text("the token is wrong").wait_for()
    assert not stop.count()
    shown.service.spin(1.1)
    entry(page, "token").fill("correct horse battery")
    click(page, "Steer")
    stop.wait_for()
    assert not page.get_by_role("button", name="Steer").count()
