# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import shutil
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.simulation import scene as scene_module
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.scene import load_scene
from mbrl_controller.simulation.scene_paths import available
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.simulation.start import start_qpos


def test_every_world_has_a_shipped_contract(contract_of):
    assert {task for _, task in available()} == {"baoding", "cube", "handwriting", "valve"}
    for _, task in available():
        load_scene(contract_of(task))


def test_contract_limits_are_the_joints_own(contract):
    scene = load_scene(contract)
    ids = [scene.model.joint(name).id for name in contract.action.names]
    np.testing.assert_allclose(scene.model.jnt_range[ids, 0], contract.action.lower, atol=1e-6)
    np.testing.assert_allclose(scene.model.jnt_range[ids, 1], contract.action.upper, atol=1e-6)
    np.testing.assert_allclose(
        scene.model.actuator_ctrlrange[scene.hand.actuators, 1], contract.action.upper, atol=1e-6
    )


def test_contract_neutral_is_the_worlds_start_pose(contract):
    scene = load_scene(contract)
    np.testing.assert_allclose(scene.hand.positions(start_qpos(scene, contract)), contract.action.neutral)
    if scene.file.start.joints:  # what both files say, they say alike
        for name, neutral in zip(contract.action.names, contract.action.neutral, strict=True):
            assert scene.file.start.joints[name] == pytest.approx(neutral)


def test_joints_are_found_by_name_not_by_place(contract):
    scene = load_scene(contract)
    qpos = start_qpos(scene, contract)
    for i, name in enumerate(contract.action.names):
        assert scene.model.actuator(int(scene.hand.actuators[i])).trnid[0] == scene.model.joint(name).id
        assert qpos[scene.model.joint(name).qposadr[0]] == contract.action.neutral[i]


def test_reordered_contract_gives_the_same_physics_in_another_order(contract_of):
    text = contract_of("valve").text
    rows = [line for line in text.splitlines() if "{name: F" in line]
    reordered = text.replace("\n".join(rows), "\n".join(rows[::-1]))
    other = parse_contract(reordered)
    assert other.action.names == contract_of("valve").action.names[::-1]
    one, two = load_scene(contract_of("valve")), load_scene(other)
    assert one.hand.qpos.tolist() == two.hand.qpos.tolist()[::-1]


def test_a_missing_model_package_is_named(contract_of, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    scene_module.compile_world.cache_clear()
    with pytest.raises(ContractError, match="gymnasium-robotics"):
        load_scene(contract_of("baoding"))


def test_physics_options_avoid_the_known_solver_fault(contract):
    option = load_scene(contract).model.opt
    assert int(option.jacobian) == int(mujoco.mjtJacobian.mjJAC_DENSE)
    assert int(option.integrator) == int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST)


def test_baoding_fingers_are_not_coupled(contract_of):
    model = load_scene(contract_of("baoding")).model
    assert model.ntendon == 0
    assert not any(model.body(i).name in ("Object", "target", "table") for i in range(model.nbody))


def test_scenes_do_not_share_their_model(contract):
    one, two = load_scene(contract), load_scene(contract)
    one.model.body_mass[:] *= 2
    assert not np.allclose(one.model.body_mass, two.model.body_mass)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("robot: claw", "robot: shadow", "shadow"),
        ("control_period_s: 0.1", "control_period_s: 0.0123", "0.0123"),
        ("F2J2", "F2J9", "F2J9"),
    ],
)
def test_a_contract_that_does_not_fit_is_refused_with_the_reason(contract_of, old, new, said):
    contract = parse_contract(contract_of("valve").text.replace(old, new))
    with pytest.raises(ContractError, match=said):
        load_scene(contract)


def test_the_claw_really_has_the_symmetries_its_contract_claims(contract_of):
    """Mirror state and command, step, compare with the mirrored outcome: training uses each transition six times."""
    hand = HandSimulation(contract_of("valve"), SimOptions())
    task, action = hand.contract.task, hand.contract.action
    rng = np.random.default_rng(2)
    moved = 0.0
    for seed in range(6):
        hand.reset(seed)
        for _ in range(5):
            hand.step(action.to_target(rng.uniform(-1, 1, len(action))))
        start, before = hand.snapshot(), hand.state()
        target = action.to_target(rng.uniform(-1, 1, len(action)))
        after = hand.step(target)
        moved = max(moved, abs(after[-2] - before[-2]))
        for symmetry in task.symmetries:
            physics = np.concatenate([start.qpos, start.qvel])
            physics[hand.scene.reader.index] = symmetry.mirror_state(before)
            qpos, qvel = physics[: len(start.qpos)], physics[len(start.qpos) :]
            hand.restore(replace(start, qpos=qpos, qvel=qvel))
            mirrored = hand.step(symmetry.mirror_action(target))
            difference = task.state.difference(mirrored, symmetry.mirror_state(after))
            np.testing.assert_allclose(difference[task.joint_positions], 0, atol=0.02)
            assert abs(difference[-2]) < 0.02
    assert moved > 0.05  # the fingers did push the valve


@pytest.fixture
def named(contract_of, tmp_path) -> RobotContract:
    """The claw's contract with its own copy of the valve's world beside it."""
    shutil.copytree(share_dir() / "sim" / "valve", tmp_path / "sim")
    text = contract_of("valve").text.replace("format_version: 1", "format_version: 2\nscene: sim/scene.yaml")
    return parse_contract(text, folder=tmp_path)


def test_a_contract_names_the_world_beside_it(named):
    scene = named.folder / "sim" / "scene.yaml"
    scene.write_text(scene.read_text().replace("timestep: 0.005", "timestep: 0.004"))
    assert load_scene(named).model.opt.timestep == 0.004


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda contract: replace(contract, folder=None), "--contract FILE"),
        (lambda contract: (contract.folder / "sim" / "scene.yaml").unlink(), "claw.*sim/scene.yaml does not exist"),
        (lambda contract: (contract.folder / "sim" / "claw.xml").unlink(), "scene.yaml.*claw.xml"),
        (lambda contract: (contract.folder / "sim" / "scene.yaml").write_text("robot: 9"), "scene.yaml: .*robot"),
        (lambda contract: (contract.folder / "sim" / "scene.yaml").write_bytes(b"\xff\x00"), "scene.yaml"),
        (lambda contract: parse_contract(contract.text.replace("robot: claw", "robot: cat"), folder=contract.folder),
         "scene.yaml.*'claw'.*'cat'"),
    ],
)  # fmt: skip
def test_a_named_world_that_cannot_be_used_is_refused_with_file_and_reason(named, change, said):
    changed = change(named)
    with pytest.raises(ContractError, match=said):
        load_scene(changed if isinstance(changed, RobotContract) else named)
