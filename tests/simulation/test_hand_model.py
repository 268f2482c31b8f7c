# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Model files of hands: their joints and objects, and copies that stand alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mujoco")

import mujoco

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.draft import JointLimits
from mbrl_controller.simulation.hand_model import copy_hand, fitting_step, is_urdf, read_hand

from ..hand_urdf import TWO_JOINTS

# A tetrahedron, for a mesh.
MESH = "v 0 0 0\nv .01 0 0\nv 0 .01 0\nv 0 0 .01\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
MJCF = """<mujoco>
  <compiler angle="radian" meshdir="parts"/>
  <option timestep=".002"/>
  <asset><mesh name="tip" file="tip.obj"/><mesh file="other/tip.obj" name="palm"/></asset>
  <worldbody>
    <body name="finger">
      <joint name="base" axis="0 1 0" range="-.5 1.5"/><geom type="mesh" mesh="palm"/>
      <body name="end" pos=".05 0 0">
        <joint name="end" axis="0 1 0" range="0 1"/><geom type="mesh" mesh="tip"/>
        <body pos=".05 0 0"><joint name="loose" axis="0 1 0"/><geom size=".005"/></body>
      </body>
    </body>
    <body name="ball" pos="0 0 .1"><freejoint/><geom size=".02"/></body>
  </worldbody>
  <actuator>
    <position joint="end" kp="2" ctrlrange=".2 3" ctrllimited="true"/><position joint="base" kp="3"/>
  </actuator>
  <keyframe><key name="bent" qpos=".1 .25 0 0 0 .2 1 0 0 0"/></keyframe>
</mujoco>"""
MESHES = """    <visual><geometry><mesh filename="package://hand/meshes/one.dae"/></geometry></visual>
    <collision><geometry><mesh filename="package://hand/meshes/one.obj"/></geometry></collision>
"""
FOLLOWS = '    <mimic joint="first"/>\n'  # the second joint
URDF = TWO_JOINTS.replace('<link name="one">\n', f'<link name="one">\n{MESHES}')
URDF = URDF.replace('velocity="9"/>\n', f'velocity="9"/>\n{FOLLOWS}')


@pytest.fixture
def mjcf(tmp_path: Path) -> Path:
    (tmp_path / "parts" / "other").mkdir(parents=True)
    for place in ("tip.obj", "other/tip.obj"):
        (tmp_path / "parts" / place).write_text(MESH)
    path = tmp_path / "hand.xml"
    path.write_text(MJCF)
    return path


@pytest.fixture
def urdf(tmp_path: Path) -> Path:
    for folder in ("urdf", "meshes"):
        (tmp_path / "hand" / folder).mkdir(parents=True)
    (tmp_path / "hand" / "meshes" / "one.obj").write_text(MESH)
    path = tmp_path / "hand" / "urdf" / "hand.urdf"
    path.write_text(URDF)
    return path


def test_an_mjcf_has_the_joints_of_its_servos_in_their_order(mjcf: Path) -> None:
    hand = read_hand(mjcf)
    assert hand.joints == (JointLimits("end", 0.2, 1.0, 0.25), JointLimits("base", -0.5, 1.5, 0.1))
    assert hand.objects == {"ball": (0.0, 0.0, 0.2)}
    assert (hand.key, hand.timestep) == ("bent", 0.002)
    assert not is_urdf(mjcf)


def test_a_copy_of_an_mjcf_needs_no_other_file(mjcf: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    copied = copy_hand(mjcf, copy, "hand.xml")
    for file in (tmp_path / "parts").rglob("*.obj"):
        file.unlink()
    assert copied == read_hand(copy / "hand.xml")
    assert len(list((copy / "assets").iterdir())) == 2  # of the same name in two folders


def test_a_urdf_has_the_joints_that_follow_no_other(urdf: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    hand = copy_hand(urdf, copy, "hand.xml")
    assert is_urdf(urdf)
    assert hand.bare
    assert hand.joints == (JointLimits("first", -0.5, 1.5, 0.0, 2.0),)
    assert read_hand(copy / "hand.xml").joints == (JointLimits("first", -0.5, 1.5),)


def test_the_fingers_of_a_urdf_may_touch_the_base(urdf: Path, tmp_path: Path) -> None:
    copy_hand(urdf, tmp_path, "copy.xml")  # the mesh of its finger is inside the palm
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "copy.xml"))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


def test_a_tendon_that_bends_two_joints_is_one_joint(mjcf: Path) -> None:
    joints = '<joint joint="base" coef="1"/><joint joint="end" coef="1"/>'
    tendon = f'<tendon><fixed name="both" limited="true" range="0 2">{joints}</fixed></tendon>'
    servo = '<position joint="end" kp="2" ctrlrange=".2 3" ctrllimited="true"/>'
    text = (
        MJCF.replace(servo, "")
        .replace('joint="base" kp', 'tendon="both" kp')
        .replace("<actuator>", f"{tendon}<actuator>")
    )
    mjcf.write_text(text)
    assert read_hand(mjcf).joints == (JointLimits("both", 0.0, 2.0, pytest.approx(0.35)),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<mujoco>", "<mujoco", "hand.xml"),
        ('<position joint="base" kp="3"/>', '<motor joint="base"/>', "no position servo"),
        ('axis="0 1 0" range="-.5 1.5"', 'axis="0 1 0"', "joint base has no limits"),
        ('joint="base" kp="3"/>', 'joint="nothing" kp="3"/>', "nothing"),
    ],
)
def test_what_a_model_lacks_is_said(mjcf: Path, old: str, new: str, said: str) -> None:
    assert old in MJCF
    mjcf.write_text(MJCF.replace(old, new))
    with pytest.raises(ContractError, match=said):
        read_hand(mjcf)


def test_a_missing_mesh_is_named(urdf: Path, tmp_path: Path) -> None:
    (tmp_path / "hand" / "meshes" / "one.obj").unlink()
    with pytest.raises(ContractError, match=r"one\.obj"):
        copy_hand(urdf, tmp_path, "copy.xml")
    with pytest.raises(ContractError, match="no such file"):
        copy_hand(tmp_path / "nothing.urdf", tmp_path, "copy.xml")


@pytest.mark.parametrize(("own", "fitting"), [(0.002, 0.002), (0.01, 0.005), (0.003, 0.1 / 34), (0.0049, 0.1 / 21)])
def test_the_physics_step_fits_the_control_period(own: float, fitting: float) -> None:
    assert fitting_step(own, 0.1) == pytest.approx(fitting)
