# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The model of the hand: the published limits, and a pose in which the cube stays."""

from __future__ import annotations

import numpy as np
import pytest
from mbrl_controller.control.task_config import contract_for

import leap_cube

mujoco = pytest.importorskip("mujoco")

FINGERS = ("index", "middle", "ring")
# rad, as the hand's interface has them: side, forward, PIP and DIP of each finger, then the thumb from its base on.
PUBLISHED = {
    **{f"{finger}_side": (-1.047, 1.047) for finger in FINGERS},
    **{f"{finger}_forward": (-0.314, 2.23) for finger in FINGERS},
    **{f"{finger}_pip": (-0.506, 1.885) for finger in FINGERS},
    **{f"{finger}_dip": (-0.366, 2.042) for finger in FINGERS},
    "thumb_cmc": (-0.349, 2.094),
    "thumb_axial": (-0.47, 2.443),
    "thumb_mcp": (-1.20, 1.90),
    "thumb_ip": (-1.34, 1.88),
}


@pytest.fixture
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(leap_cube.share_dir() / "sim" / "leap_cube" / "leap_hand.xml"))


def at_rest(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("hold").id)
    mujoco.mj_forward(model, data)
    return data


def test_model_and_contract_have_the_published_limits(model: mujoco.MjModel) -> None:
    ranges = {model.joint(i).name: tuple(model.jnt_range[i]) for i in range(model.njnt) if model.jnt_limited[i]}
    assert ranges == {name: pytest.approx(limits) for name, limits in PUBLISHED.items()}
    action = contract_for("leap_cube").action
    assert dict(zip(action.names, zip(action.lower, action.upper, strict=True), strict=True)) == PUBLISHED
    assert [model.actuator(i).name for i in range(model.nu)] == list(action.names)


def test_axes_are_as_far_apart_as_published(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    def place(joint: str) -> np.ndarray:
        return data.xanchor[model.joint(joint).id]

    for finger in FINGERS:
        chain = [place(f"{finger}_{name}") for name in ("forward", "side", "pip", "dip")]
        assert np.linalg.norm(np.diff(chain, axis=0), axis=1) == pytest.approx([0.0381, 0.0150, 0.0361])
    assert np.linalg.norm(place("index_forward") - place("middle_forward")) == pytest.approx(0.0454)
    assert np.linalg.norm(place("thumb_mcp") - place("thumb_ip")) == pytest.approx(0.0466)


def test_the_hold_pose_keeps_the_cube_for_ten_seconds(model: mujoco.MjModel) -> None:
    data = at_rest(model)
    cube = data.body("cube")
    start, upright = cube.xpos.copy(), cube.xmat.reshape(3, 3).copy()
    mujoco.mj_step(model, data, nstep=round(10.0 / model.opt.timestep))
    assert np.linalg.norm(cube.xpos - start) < 0.008
    turned = np.arccos((np.trace(upright.T @ cube.xmat.reshape(3, 3)) - 1) / 2)
    assert np.degrees(turned) < 10.0


def test_the_servos_are_as_strong_and_no_faster_than_the_hands(model: mujoco.MjModel) -> None:
    data = at_rest(model)
    data.qpos[model.joint("cube").qposadr[0] + 2] = 1.0  # away
    data.ctrl[:] = model.actuator_ctrlrange[:, 1]
    fastest = strongest = 0.0
    for _ in range(100):
        mujoco.mj_step(model, data)
        fastest = max(fastest, float(np.abs(data.actuator_velocity).max()))
        strongest = max(strongest, float(np.abs(data.actuator_force).max()))
    assert strongest == pytest.approx(0.55 * 0.515, rel=0.02)  # A, N m/A
    assert 1.0 < fastest < 8.5  # rad/s, without load


def test_the_contracts_neutral_pose_is_the_hold_pose(model: mujoco.MjModel) -> None:
    action = contract_for("leap_cube").action
    pose = at_rest(model)
    assert [float(pose.joint(name).qpos[0]) for name in action.names] == pytest.approx(action.neutral.tolist())
    assert pose.ctrl.tolist() == pytest.approx(action.neutral.tolist())
