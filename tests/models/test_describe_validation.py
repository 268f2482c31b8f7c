# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is wrong with a configuration is said without pydantic's own words, whatever is wrong."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.contract.fields import Range
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.simulation.scene_reading import read_scene

OWN_WORDS = re.compile(
    r"Value error|Input should|Field required|validation|function-|tagged|constrained|discriminator|instance of|"
    r"Joint\.|StateJoint|DriverJoint|\.Range|PositionActuator|VaryObject|SceneObject|tuple|dict\b|literal\[|\[key\]|"
    r"msg/\w+\.\w|\.(str|float|int)\b|pydantic"
)
ODD = [True, None, -1, 0, 1.5, "x", "", [], [1, "a"], {}, {"a": 1}, float("nan"), 10**30, [[]], ["a", None], {1: 2}]
SCENE = """
format_version: 2
model: {file: a.xml}
options: {timestep: 0.002, integrator: euler, gravity: [0, 0, -9.81]}
objects: {cube: {shape: box, size: [0.1, 0.1, 0.1], position: [0, 0, 0], orientation: [0, 0, 0, 1], mass: 0.1}}
start:
  settle: 0.5
  objects: {cube: {position: [0, 0, 0]}}
  vary: {joints: {"f*": 0.02}, objects: {cube: {position: 0.002, orientation: {about: [0, 0, 1], range: 1.0}}}}
add_actuators: {"*": {kp: 1.0, force: 1.0}}
edit: {remove_bodies: [a], tendons: false, gains: {a: 1.0}, joints: {"*": {damping: 0.1}}}
camera: {position: [0, 0, 0], look_at: [0, 0, 1]}
"""


def places(document: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all entries; of lists to the first two."""
    parts = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document[:2])
        if isinstance(document, list)
        else ()
    )
    for key, value in parts:
        yield (*here, key)
        yield from places(value, (*here, key))


def damaged(document: Any, place: tuple[Any, ...], value: Any) -> str:
    made = copy.deepcopy(document)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return yaml.safe_dump(made)


@pytest.mark.parametrize("name", ["adroit_baoding", "hands/shadow", "hands/linkerhand_l10", "scene"])
def test_no_error_has_pydantics_words(name: str, tmp_path: Path) -> None:
    text = SCENE if name == "scene" else (share_dir() / "config" / f"{name}.yaml").read_text()
    document, drawn, refused = yaml.safe_load(text), random.Random(name), 0
    for place in drawn.sample(list(places(document)), 12):
        for value in drawn.sample(ODD, 5):
            written = damaged(document, place, value)
            try:
                if name == "scene":
                    (tmp_path / "scene.yaml").write_text(written)
                    read_scene(tmp_path / "scene.yaml")
                else:
                    parse_contract(written)
            except ContractError as error:
                said = str(error).removeprefix(str(tmp_path))
                assert not OWN_WORDS.search(said), said
                refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format_version: 2", "format_version: true", "format_version: true is neither a number nor a text"),
        ("control_period_s: 0.02", "control_period_s: fast", "control_period_s: must be a number"),
        ("type: sensor_msgs/msg/JointState", "type: a/msg/B", r"state\.0: type is 'a/msg/B', but must be one of"),
        ("  - topic: joint_states", "  - topics: joint_states", r"state\.0\.topics: there is no entry of this name"),
    ],
)
def test_a_fault_is_named_by_its_place(old: str, new: str, said: str) -> None:
    text = HAND.replace(old, new)
    assert text != HAND
    with pytest.raises(ContractError, match=said):
        parse_contract(text)


HAND = """
format_version: 2
robot: small
task: reach
control_period_s: 0.02
state:
  - topic: joint_states
    type: sensor_msgs/msg/JointState
    joints: [J0, {name: J1, as: {sign: -1}}]
command:
  topic: hand/commands
  type: std_msgs/msg/Float64MultiArray
  joints:
    - {name: J0, lower: -1.0, upper: 1.0, neutral: 0.0, max_rate: 3.0}
    - {name: J1, lower: -1.0, upper: 1.0, neutral: 0.1, max_rate: 3.0, as: {sign: 1}}
"""


def test_what_is_no_configuration_at_all_is_said_so() -> None:
    with pytest.raises(ValidationError) as caught:
        Range.model_validate(7)
    assert describe_validation(caught.value) == "must be a mapping"


def test_of_two_kinds_the_one_that_was_meant_is_spoken_of() -> None:
    for wrong, said in (
        ("{name: J1, as: {sign: -1}}", r"state\.0\.joints\.1\.as\.sing: there is no entry"),
        ("{name: J1, as: {sign: -1}}", None),
    ):
        text = HAND.replace(wrong, wrong.replace("sign", "sing") if said else "7")
        with pytest.raises(ContractError, match=said or r"state\.0\.joints\.1: must be text, or a mapping"):
            parse_contract(text)
    with pytest.raises(ContractError, match="sign: true is neither"):
        parse_contract(HAND.replace("as: {sign: 1}", "as: {sign: true}"))
