# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which version is another's parent: of one robot, however many share a task and a registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from mbrl_controller.base.errors import ContractError, MbrlError, RegistryError
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.data_schema import source_kinds
from mbrl_controller.models.card import ModelCard
from mbrl_controller.models.origin import Origin
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.simulation.extract_geometry import extract_geometry
from mbrl_controller.training.parent import find_parent, simulated_shape, why_no_parent

from ..linear_model import linear_model

CLAW, ADROIT = contract_for("valve"), contract_for("baoding")


def changed(contract: RobotContract, change: Callable[[dict], object]) -> RobotContract:
    document = yaml.safe_load(contract.text)
    change(document)
    return parse_contract(yaml.safe_dump(document))


def card(contract: RobotContract, **spec: object) -> ModelCard:
    made = ModelSpec.of(contract.task, contract.file.robot, contract.action, 1, (1,)).model_copy(update=spec)
    return ModelCard(spec=made, model_sha256="0" * 64, measured=source_kinds(contract))


def poses(document: dict) -> None:
    document["state"][1].update(type="geometry_msgs/msg/PoseStamped")


def slowly(document: dict) -> None:
    poses(document)
    document["state"][1].update(velocity_filter={"time_constant_s": 0.05})


def test_an_old_card_does_not_say_how_a_velocity_was_filtered_and_a_new_one_does() -> None:
    filtered, usual = changed(ADROIT, slowly), changed(ADROIT, poses)
    old = card(usual)  # what 0.2 wrote, whatever the filter
    assert why_no_parent(old, filtered) == ""
    new = old.model_copy(update={"origins": (Origin(robot="adroit", world="", episodes=1),)})
    assert "velocity filtered over 0.05 s" in why_no_parent(new, filtered)
    assert why_no_parent(new, usual) == ""


@pytest.mark.parametrize(
    ("contract", "change", "why"),
    [
        (CLAW, lambda d: d.update(robot="leap"), "its robot is claw, not leap"),
        (CLAW, lambda d: d.update(control_period_s=0.05), "control period is 0.1, not 0.05"),
        (CLAW, lambda d: d["command"]["joints"].reverse(), "its action has the same names in another order"),
        (CLAW, lambda d: d["state"][1].update(joints=["wheel"]) or d["task_options"].update(valve="wheel"), "lacks"),
        (ADROIT, lambda d: d["state"][1].update(frame="palm"), "ball_a.position.x came from Odometry in frame world"),
        (ADROIT, poses, "came from Odometry in frame world, not PoseStamped in frame world"),
    ],
)
def test_a_version_of_another_robot_or_contract_is_no_parent(contract, change, why) -> None:
    assert why_no_parent(card(contract), contract) == ""
    assert why in why_no_parent(card(contract), changed(contract, change))


def test_limits_rates_and_topics_may_change_within_a_robot() -> None:
    def change(document: dict) -> None:
        document["command"]["joints"][0].update(upper=0.2, max_rate=1.0)
        document["state"][0].update(topic="elsewhere", max_age_s=0.1)

    assert why_no_parent(card(CLAW), changed(CLAW, change)) == ""


def test_a_card_of_before_it_told_how_states_were_measured_is_taken_at_its_names() -> None:
    old = card(ADROIT).model_copy(update={"measured": {}})
    assert why_no_parent(old, changed(ADROIT, poses)) == ""
    assert "robot" in why_no_parent(old, changed(ADROIT, lambda d: d.update(robot="leap")))


def test_a_version_of_another_scene_is_no_parent() -> None:
    shape = extract_geometry(ADROIT)
    assert why_no_parent(card(ADROIT, geometry=shape), ADROIT) == ""
    larger = shape.balls[0].model_copy(update={"radius": shape.balls[0].radius * 1.1})
    other = shape.model_copy(update={"balls": (larger, *shape.balls[1:])})
    assert "another scene" in why_no_parent(card(ADROIT, geometry=other), ADROIT)
    rounded = shape.balls[0].model_copy(update={"radius": np.nextafter(shape.balls[0].radius, 1.0)})
    same = shape.model_copy(update={"balls": (rounded, *shape.balls[1:])})
    assert why_no_parent(card(ADROIT, geometry=same), ADROIT) == ""


def add(registry: Registry, contract: RobotContract, folder: Path) -> str:
    """A promoted version that says that nothing moves."""
    spec = card(contract, version=registry.next_name("valve")).spec
    files = folder / f"new-{spec.version}"
    files.mkdir()
    still = np.zeros((1, len(spec.action_names), len(spec.state_names)), np.float32)
    (files / "model.onnx").write_bytes(linear_model(still, spec.to_metadata()).SerializeToString())
    digest = file_sha256(files / "model.onnx")
    version = registry.add("valve", files, ModelCard(spec=spec, model_sha256=digest, measured=source_kinds(contract)))
    registry.promote("valve", version.name)
    return version.name


def test_with_two_robots_on_one_task_each_follows_its_own_newest_version(tmp_path: Path) -> None:
    leap = changed(CLAW, lambda d: d.update(robot="leap"))
    registry = Registry(tmp_path / "models")
    assert find_parent(registry, "valve", leap).version is None
    for contract in (CLAW, leap, leap, CLAW):
        add(registry, contract, tmp_path)
    of_claw, of_leap = (find_parent(registry, "valve", contract) for contract in (CLAW, leap))
    assert of_claw.version is not None
    assert (of_claw.version.name, of_claw.passed_over) == ("v0004", {})
    assert of_leap.version is not None
    assert of_leap.version.name == "v0003"
    assert of_leap.passed_over == {"v0004": "its robot is claw, not leap"}
    assert not of_leap.damaged


def test_a_damaged_or_vanished_version_is_passed_over_and_known_as_such(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    for _ in range(3):
        add(registry, CLAW, tmp_path)
    folder = tmp_path / "models" / "valve"
    (folder / "v0003" / "model.onnx").write_bytes(b"cut")
    (folder / "v0002").rename(folder / "away")
    found = find_parent(registry, "valve", CLAW)
    assert found.version is not None
    assert found.version.name == "v0001"
    assert found.damaged == ("v0003", "v0002")
    assert "no version 'v0002'" in found.passed_over["v0002"]
    (folder / "current.json").write_text("{")
    with pytest.raises(RegistryError, match=r"current\.json"):
        find_parent(registry, "valve", CLAW)


def test_without_a_world_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ContractError, match=r"no simulated world for robot 'leap'.*--set contacts=false"):
        simulated_shape(changed(ADROIT, lambda d: d.update(robot="leap")))
    monkeypatch.setitem(__import__("sys").modules, "mbrl_controller.simulation.extract_geometry", None)
    with pytest.raises(MbrlError, match=r"\[sim\].*--set contacts=false"):
        simulated_shape(ADROIT)
