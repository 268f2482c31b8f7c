# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Drafts of contracts: from URDF and from joints; what is written can be read, and never allows more than the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import ContractFile
from mbrl_controller.contract.draft import MAX_RATE, JointLimits, draft_contract, urdf_joints

URDF = """<robot name="hand">
  <link name="palm"/><link name="one"/><link name="two"/><link name="three"/><link name="four"/>
  <joint name="base" type="fixed"><parent link="palm"/><child link="one"/></joint>
  <joint name="first" type="revolute"><limit lower="-0.5" upper="1.25" effort="1" velocity="2"/></joint>
  <joint name="second" type="revolute"><limit lower="0.26" upper="1.4" effort="1" velocity="7"/></joint>
  <joint name="third" type="revolute"><limit lower="0" upper="1"/><mimic joint="second"/></joint>
  <joint name="fourth" type="continuous"/>
</robot>"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_revolute_joints_of_a_urdf_that_follow_no_other(tmp_path: Path) -> None:
    joints = urdf_joints(written(tmp_path / "hand.urdf", URDF))
    assert joints == [
        JointLimits("first", -0.5, 1.25, max_rate=2.0),
        JointLimits("second", 0.26, 1.4, max_rate=MAX_RATE),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<mujoco/>", "<mujoco>"),
        ("<robot", "cannot be read"),
        ('<robot><joint name="a" type="revolute"/></robot>', "joint a"),
        ('<robot><joint name="a" type="revolute"><limit lower="x" upper="1"/></joint></robot>', "joint a"),
    ],
)
def test_what_is_wrong_with_a_urdf_is_said_with_file_and_joint(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path / "hand.urdf", text)
    with pytest.raises(ContractError, match=f"{path}.*{said}"):
        urdf_joints(path)


def test_a_missing_urdf_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"nothing\.urdf"):
        urdf_joints(tmp_path / "nothing.urdf")


@pytest.mark.parametrize("joints", [[], [JointLimits("a", 0.0, 0.0)], [JointLimits("a", float("-inf"), 1.0)]])
def test_a_hand_without_a_range_has_no_draft(joints: list[JointLimits]) -> None:
    with pytest.raises(ContractError, match=r"hand\.xml"):
        draft_contract("hand", "valve", joints, "hand.xml")


names = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)
angles = st.floats(-6.0, 6.0)


@given(
    st.lists(st.tuples(names, angles, angles, angles), min_size=1, max_size=5, unique_by=lambda row: row[0]),
    names,
)
def test_a_draft_is_read_back_and_stays_inside_the_limits(
    rows: list[tuple[str, float, float, float]], robot: str
) -> None:
    joints = [JointLimits("a\u2028b", -1.0, 1.0)]
    joints += [JointLimits(name, min(a, b), max(a, b) + 0.01, middle) for name, a, b, middle in rows]
    file = ContractFile.model_validate(yaml.safe_load(draft_contract(robot, "valve", joints, "a file")))
    assert file.robot == robot
    assert [joint.name for joint in file.command.joints] == [joint.name for joint in joints]
    assert list(file.state[0].entries()) == [f"{joint.name}.position" for joint in joints]
    for one, other in zip(file.command.joints, joints, strict=True):
        assert other.lower - 1e-9 <= one.lower <= one.neutral <= one.upper <= other.upper + 1e-9
        assert one.upper - one.lower == pytest.approx(other.upper - other.lower, abs=3e-4)
