"""The robot contract says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.episodes.contract import load_contract, parse_contract
from mbrl_controller.errors import ContractError
from mbrl_controller.resources import share_dir

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


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a mapping"),
        ("[1, 2]", "expected a mapping"),
        ("a: [", "not valid YAML"),
        (changed(format_version=2), "format_version"),
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


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_contract_or_a_contract_error(text):
    with pytest.raises(ContractError):
        parse_contract(text)
