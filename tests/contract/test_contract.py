# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The robot contract says what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, load_contract, parse_contract
from mbrl_controller.contract.sources import JointSource

TEXT = (share_dir() / "config" / "claw_valve.yaml").read_text()


def changed(**updates: Any) -> str:
    """The claw's contract with entries replaced; `command__stroke` means command.stroke."""
    document = yaml.safe_load(TEXT)
    for key, value in updates.items():
        at, *path = document, *key.split("__")
        for part in path[:-1]:
            at = at[int(part) if part.isdigit() else part]
        last = path[-1]
        at[int(last) if last.isdigit() else last] = value
    return yaml.safe_dump(document)


def test_a_state_has_one_publisher_unless_the_contract_says_otherwise():
    contract = parse_contract(changed(state__1__publishers="several", command__driver="hand_controller"))
    assert [source.publishers for source in contract.sources] == ["one", "several"]
    assert contract.file.command.driver == "hand_controller"
    assert parse_contract(TEXT).file.command.driver is None


def test_shipped_contracts_fill_their_task_exactly(contract):
    given = [entry for source in contract.sources for entry in source.entries()]
    assert tuple(given[i] for i in contract.order) == contract.task.state.names
    assert contract.action.names == tuple(joint.name for joint in contract.file.command.joints)


def test_commands_are_bounded_as_the_file_says(contract):
    document = yaml.safe_load(contract.text)
    for name in ("lower", "upper", "neutral", "max_rate"):
        assert getattr(contract.action, name).tolist() == [j[name] for j in document["command"]["joints"]]
    assert contract.action.period == document["control_period_s"]
    assert contract.action.stroke == contract.file.command.stroke
    assert contract.task.name == document["task"]
    with pytest.raises(ValueError, match="read-only"):
        contract.order[0] = 1


def test_entries_are_named_by_what_they_are_of(contract):
    for source in contract.sources:
        if isinstance(source, JointSource):
            joints, fields = source.joints, source.fields
            assert source.entries() == [f"{joint}.{quantity}" for quantity in fields for joint in joints]
        else:
            kinds = [f"position.{axis}" for axis in "xyz"] + [f"velocity.{axis}" for axis in "xyz"]
            assert source.entries() == [f"{source.object}.{kind}" for kind in kinds]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a mapping"),
        ("[1, 2]", "expected a mapping"),
        ("a: [", "not valid YAML"),
        (changed(format_version=3), "format_version"),
        (changed(task="juggling"), "unknown task 'juggling'"),
        (changed(task_options={"valves": "v"}), "unknown options"),
        (changed(control_period_s=0.0), "control_period_s"),
        (changed(control_period_s="fast"), "control_period_s"),
        (changed(command__stroke=1.5), "command.stroke"),
        (changed(command__colour="red"), "command.colour"),
        (changed(command__joints__0__lower=3.0), "joint F1J1: lower limit 3.0 is not below"),
        (changed(command__joints__0__neutral=0.7), "neutral 0.7 rad is outside"),
        (changed(command__joints__0__upper=float("inf")), "command.joints.0.upper"),
        (changed(command__joints__0__max_rate=-1.0), "max_rate"),
        (changed(command__joints__1__name="F1J1"), "names F1J1 twice"),
        (changed(state__1__topic="joint_states"), "share a topic"),
        (changed(state__1__joints=["wheel"]), "no source for [valve.position, valve.velocity]"),
        (changed(state__0__fields=["position"]), "no source for [F1J1.velocity"),
        (changed(task="cube", task_options={}), "`object: cube` with `fields: [position,"),
        (changed(command__strok=0.5), "command.strok: there is no entry"),
        (changed(state__0__type="sensor_msgs/msg/Imu"), "state.0"),
        (changed(state__0__max_age_s=0.0), "max_age_s"),
        (changed(state__0__max_silence_s=0.0), "max_silence_s"),
        (changed(state__0__publishers="many"), "publishers"),
        (changed(command__driver=""), "command.driver"),
    ],
)
def test_a_wrong_contract_is_refused_saying_where(text, complaint):
    with pytest.raises(ContractError) as caught:
        parse_contract(text, "hand.yaml")
    assert str(caught.value).startswith("hand.yaml: ")
    assert complaint in str(caught.value)


def test_an_unknown_entry_is_answered_with_the_missing_one_that_it_may_mean():
    document = yaml.safe_load(TEXT)
    document["control_period"] = document.pop("control_period_s")
    with pytest.raises(ContractError, match=r"control_period: .* near it: control_period_s"):
        parse_contract(yaml.safe_dump(document))


def test_a_refused_source_does_not_make_the_list_of_sources_too_short():
    document = yaml.safe_load(TEXT)
    document["state"] = [{**document["state"][0], "fields": ["speed"]}]
    with pytest.raises(ContractError) as caught:
        parse_contract(yaml.safe_dump(document))
    assert "fields.0" in str(caught.value)
    assert "at least 1" not in str(caught.value)
    document["state"] = []
    with pytest.raises(ContractError, match=r"state: needs at least 1 entries"):
        parse_contract(yaml.safe_dump(document))


def test_a_source_has_its_own_limit_of_silence_or_one_that_goes_with_the_period():
    contract = parse_contract(changed(state__1__max_silence_s=0.5))
    period = contract.action.period
    limits = [contract.max_silence(source) for source in contract.sources]
    assert period < limits[0] <= 1.2 * period
    assert limits[1] == 0.5


def test_an_entry_with_two_sources_is_refused():
    document = yaml.safe_load(TEXT)
    document["state"].append({**document["state"][1], "topic": "another"})
    with pytest.raises(ContractError, match="two sources"):
        parse_contract(yaml.safe_dump(document))


def test_an_absent_file_is_refused(tmp_path: Path):
    with pytest.raises(ContractError, match="cannot be read"):
        load_contract(tmp_path / "none.yaml")


def test_the_digest_is_of_the_meaning(claw):
    assert parse_contract("# another comment\n" + TEXT).digest == claw.digest
    assert parse_contract(changed(control_period_s=0.05)).digest != claw.digest
    assert re.fullmatch("[0-9a-f]{64}", claw.digest)


def test_every_problem_of_the_state_is_named_at_once():
    text = changed(state__1__joints=["wheel", "rim"], command__joints__1__name="F1J1", command__joints__2__name="F2J2")
    with pytest.raises(ContractError, match=r"^contract: command\.joints names F1J1, F2J2 twice$"):
        parse_contract(text)
    with pytest.raises(ContractError) as caught:
        parse_contract(changed(state__1__joints=["wheel", "rim"]))
    assert str(caught.value) == (
        "contract: state: no source for [valve.position, valve.velocity]; task valve does not use "
        "[wheel.position, rim.position, wheel.velocity, rim.velocity]"
    )


def test_a_file_is_named_in_what_is_wrong_with_it(tmp_path: Path):
    path = tmp_path / "hand.yaml"
    path.write_text("[]")
    with pytest.raises(ContractError, match=r"hand\.yaml: expected a mapping"):
        load_contract(path)
    path.write_text(TEXT)
    assert load_contract(str(path)).text == TEXT


def test_a_command_topic_may_not_be_a_states():
    with pytest.raises(ContractError, match="the command topic joint_states is a state's topic"):
        parse_contract(changed(command__topic="joint_states"))


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_contract_or_a_contract_error(text):
    with pytest.raises(ContractError):
        parse_contract(text)


@pytest.mark.parametrize(
    ("right", "wrong", "entry"),
    [
        ("control_period_s: 0.1", "control_period_s: 0,1", "control_period_s"),
        ("upper: 0.175", "upper: 0,175", "command.joints.0"),  # two entries of the mapping
        ("period: 6.0", "period: 6,0", "period"),
        ("radii: [0.03, 0.036]", "radii: [0,03, 0,036]", "radii"),  # four numbers
    ],
)
def test_a_decimal_comma_is_named_with_its_entry(right: str, wrong: str, entry: str) -> None:
    text = (share_dir() / "config" / "adroit_baoding.yaml").read_text()
    assert right in text
    with pytest.raises(ContractError, match=rf"{entry}.*decimal point"):
        parse_contract(text.replace(right, wrong, 1))


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("adroit_baoding", "e89b5aecf8f168fa25857b7a9bc98c8311f2fff39cf9c54d164be81b3f71813d"),
        ("claw_valve", "2048a2efc2471075c842128448059e241d961780ceee2677eb3eb1ebcec728d1"),
    ],
)
def test_contracts_of_format_1_keep_their_digest(name: str, digest: str) -> None:
    """Episodes and models of 0.1 and 0.2 carry it."""
    assert load_contract(share_dir() / "config" / f"{name}.yaml").digest == digest


def tracked(more: str = "") -> RobotContract:
    text = (share_dir() / "config" / "adroit_baoding.yaml").read_text()
    text = text.replace("nav_msgs/msg/Odometry", "geometry_msgs/msg/PoseStamped")
    return parse_contract(text.replace("object: ball_a\n", f"object: ball_a\n    {more}\n"))


def test_a_contract_of_format_1_with_poses_keeps_its_digest() -> None:
    assert tracked().digest == "f29a34e81b7ed6c586852778fbd5c0271154ce13f8f8737f7a13249487d315b0"


def test_a_velocity_outlasts_the_silence_that_the_contract_allows() -> None:
    for more, gap in (("", 0.2), ("max_silence_s: 0.6", 0.6), ("rate_hz: 4.0", 0.75), ("max_silence_s: 0.1", 0.2)):
        contract = tracked(more)
        assert contract.max_gap(contract.sources[1]) == pytest.approx(gap)
        assert contract.reset_gap > max(gap, 2 * contract.action.period), "a scene that is reset begins anew"


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"scene": "scene.yaml"}, "scene"),
        ({"state__0__fields": ["position", "velocity", "effort"]}, r"state\.0\.fields: effort"),
        ({"state__0__publishers": "parts"}, r"state\.0\.publishers: parts"),
        ({"state__0__by": "index"}, r"state\.0\.by"),
        ({"state__0__as": {"sign": -1}}, r"state\.0\.as"),
        ({"state__0__joints__0": {"name": "FFJ1", "as": {"sign": -1}}}, r"state\.0\.joints: FFJ1: as"),
        ({"state__0__valid": {"effort": {"lower": 0, "upper": 1}}}, r"state\.0\.valid\.effort"),
    ],
)
def test_what_only_format_2_has_is_refused_in_format_1_and_named(entries: dict[str, Any], named: str) -> None:
    with pytest.raises(ContractError, match=rf"(?s){named}.*needs format_version: 2"):
        parse_contract(changed(**entries))


def test_a_file_knows_its_folder_and_a_contract_inside_an_episode_has_none() -> None:
    assert load_contract(share_dir() / "config" / "claw_valve.yaml").folder == share_dir() / "config"
    assert parse_contract(TEXT).folder is None


@pytest.mark.parametrize("scene", ["/etc/scene.yaml", "../scene.yaml", "a/../../b.yaml"])
def test_a_scene_lies_beside_its_contract(scene: str) -> None:
    with pytest.raises(ContractError, match="beside"):
        parse_contract(changed(format_version=2, scene=scene))
    assert parse_contract(changed(format_version=2, scene="worlds/scene.yaml")).file.scene == "worlds/scene.yaml"
