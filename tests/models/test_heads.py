# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a head's description and card may say, and which robot and task it fits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mbrl_controller.base.errors import ModelError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.card import ModelCard, Version
from mbrl_controller.models.heads import HEAD_METADATA_KEY, HeadCard, HeadSpec
from mbrl_controller.models.spec import ModelSpec

MakeSpec = Callable[..., HeadSpec]
DIGEST = "0" * 64


def test_a_spec_survives_the_metadata_of_its_file(head_spec: MakeSpec) -> None:
    for spec in (head_spec("policy", horizon=7), head_spec("value", members=3, discount=0.97)):
        assert HeadSpec.from_metadata(spec.to_metadata(), "a file") == spec


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"goal_steps": ()}, "goal_steps"),
        ({"goal_steps": (0, 1)}, "goal_steps"),
        ({"goal_steps": (1, 51)}, "goal_steps"),
        ({"goal_steps": (4, 1)}, "ascending"),
        ({"goal_steps": (2, 2)}, "ascending"),
        ({"horizon": 0}, "horizon"),
        ({"horizon": 51}, "horizon"),
        ({"members": 2}, "members"),
        ({"discount": 0.0}, "discount"),
        ({"discount": float("nan")}, "discount"),
        ({"state_units": ("rad",)}, "state_units has 1 entries"),
        ({"action_neutral": ()}, "action_neutral has 0 entries"),
        ({"goal_names": ("a", "a"), "goal_units": ("", "")}, "goal_names occur twice"),
        ({"periodic": (20,)}, "periodic"),
        ({"periodic": (-1,)}, "periodic"),
        ({"goal_periodic": (0, 0)}, "goal_periodic"),
        ({"kind": "value", "horizon": 2, "members": 2}, "horizon"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_what_no_head_can_be_is_refused_with_its_field(head_spec: MakeSpec, change: dict, reason: str) -> None:
    text = json.dumps(head_spec("policy").model_dump() | change)
    with pytest.raises(ModelError, match=rf"^some file: bad description of a head: .*{reason}"):
        HeadSpec.from_metadata({HEAD_METADATA_KEY: text}, "some file")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"kind": "policy"}'])
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"^f: "):
        HeadSpec.from_metadata({HEAD_METADATA_KEY: text}, "f")
    with pytest.raises(ModelError, match=r"^f: "):
        HeadSpec.from_metadata({"mbrl_controller": text}, "f")


def test_a_newer_format_is_named_before_its_unknown_fields(head_spec: MakeSpec) -> None:
    text = json.dumps(head_spec("policy").model_dump() | {"format_version": 2, "surplus": 1})
    with pytest.raises(ModelError, match="format 2"):
        HeadSpec.from_metadata({HEAD_METADATA_KEY: text}, "f")


def test_bad_options_of_a_new_head_are_an_error_of_this_package(head_spec: MakeSpec) -> None:
    with pytest.raises(ModelError, match=r"policy of task valve: .*goal_steps"):
        head_spec("policy", goal_steps=(3, 1))


@pytest.mark.parametrize("kind", ["policy", "value"])
def test_it_fits_its_own_robot_and_no_other(head_spec: MakeSpec, valve: RobotContract, kind: str) -> None:
    spec, action = head_spec(kind), valve.action
    spec.check_fits(valve.task, action)
    for change, reason in (
        ({"period": 0.2}, "control period"),
        ({"lower": action.lower - 0.1}, "lower limits"),
        ({"max_rate": action.max_rate * 2}, "rate limits"),
    ):
        with pytest.raises(ModelError, match=rf"{kind} .* does not fit: .*{reason}"):
            spec.check_fits(valve.task, dataclasses.replace(action, **change))
    other = contract_for("baoding", None)
    with pytest.raises(ModelError, match="trained for task 'valve', not 'baoding'"):
        spec.check_fits(other.task, other.action)


def test_only_a_policys_actions_refer_to_the_neutral_pose(head_spec: MakeSpec, valve: RobotContract) -> None:
    moved = dataclasses.replace(valve.action, neutral=valve.action.neutral + 0.01)
    for action in (moved, dataclasses.replace(valve.action, stroke=0.5)):
        head_spec("value").check_fits(valve.task, action)
        with pytest.raises(ModelError, match="neutral pose"):
            head_spec("policy").check_fits(valve.task, action)


def test_another_goal_does_not_fit(head_spec: MakeSpec, valve: RobotContract) -> None:
    for change in ({"goal_names": ("other",)}, {"goal_units": ("deg",)}, {"goal_periodic": ()}):
        with pytest.raises(ModelError, match="its goal"):
            head_spec("policy").model_copy(update=change).check_fits(valve.task, valve.action)


def test_it_sees_the_rows_of_its_steps(head_spec: MakeSpec) -> None:
    spec = head_spec("policy", goal_steps=(1, 3, 5))
    goals = np.arange(7.0)[:, None]
    assert spec.reach == 5
    assert spec.seen(goals).ravel().tolist() == [0, 2, 4]
    assert spec.seen(np.stack([goals, goals + 10])).shape == (2, 3, 1)
    for wrong in (goals[:4], np.zeros((7, 2)), np.zeros(7)):
        with pytest.raises(ModelError, match=r"needs goals \[5 or more, 1\]"):
            spec.seen(wrong)


def card_of(spec: ModelSpec, **more: Any) -> ModelCard:
    return ModelCard(spec=spec, **more)


@pytest.fixture
def model_spec(valve: RobotContract) -> ModelSpec:
    return ModelSpec.of(valve.task, valve.file.robot, valve.action, 3, (8,))


def test_a_card_of_before_reads_as_one_without_heads(model_spec: ModelSpec, tmp_path: Path) -> None:
    content = card_of(model_spec, model_sha256=DIGEST).model_dump(mode="json", exclude={"policy", "value"})
    (tmp_path / "card.json").write_text(json.dumps(content))
    card = Version("valve", "v0001", tmp_path).card()
    assert (card.policy, card.value, card.heads, card.head_names) == (None, None, {}, "")
    (tmp_path / "card.json").write_text(json.dumps(content | {"planner": None}))
    with pytest.raises(ModelError, match="planner"):
        Version("valve", "v0001", tmp_path).card()


def test_a_card_names_its_heads(model_spec: ModelSpec) -> None:
    policy, value = (HeadCard(sha256=DIGEST, kind=kind) for kind in ("distilled", "td_lambda"))
    card = card_of(model_spec, model_sha256=DIGEST, policy=policy, value=value)
    assert card.head_names == "policy (distilled), value (td_lambda)"
    assert ModelCard.model_validate_json(card.model_dump_json()) == card


def test_a_version_has_a_model_or_a_policy(model_spec: ModelSpec) -> None:
    bare = model_spec.model_copy(update={"ensemble_size": 0, "hidden": ()})
    policy = HeadCard(sha256=DIGEST, kind="sac")
    assert card_of(bare, policy=policy).precisions == ""
    for spec, more in (
        (bare, {}),
        (bare, {"value": HeadCard(sha256=DIGEST, kind="td_lambda")}),
        (bare, {"policy": policy, "int8_sha256": DIGEST}),
        (bare, {"policy": policy, "model_sha256": DIGEST}),
        (model_spec, {"policy": policy}),
        (model_spec, {"model_sha256": DIGEST, "policy": HeadCard(sha256=DIGEST, kind="td_lambda")}),
        (model_spec, {"model_sha256": DIGEST, "value": policy}),
    ):
        with pytest.raises(ValidationError):
            card_of(spec, **more)


def test_a_model_file_has_networks(model_spec: ModelSpec) -> None:
    bare = model_spec.model_copy(update={"ensemble_size": 0})
    with pytest.raises(ModelError, match="ensemble_size"):
        ModelSpec.from_metadata(bare.to_metadata(), "f")


def test_figures_are_finite_because_json_has_no_others() -> None:
    with pytest.raises(ValidationError):
        HeadCard(sha256=DIGEST, kind="sac", figures={"error": float("nan")})
