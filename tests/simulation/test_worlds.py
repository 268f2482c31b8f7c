# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Worlds of format 2: a model file is taken as it is, but for what the scene names."""

from __future__ import annotations

import copy
import warnings

import mujoco
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbrl_controller.base.errors import ContractError, MbrlError
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.oracle import OracleRollout
from mbrl_controller.simulation.scene import load_scene
from mbrl_controller.simulation.sim_options import SimOptions

from .probe import CUBE, HAND, HAND_ENTRIES, JOINTS, of_object, probe_contract

URDF = """
<robot name="probe">
  <link name="base"/>
  <link name="finger">
    <inertial><origin xyz="0 0 .05"/><mass value=".1"/>
      <inertia ixx="1e-4" iyy="1e-4" izz="1e-5" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0 0 .05"/><geometry><cylinder radius=".01" length=".1"/></geometry></collision>
  </link>
  <joint name="finger" type="revolute"><parent link="base"/><child link="finger"/><axis xyz="0 1 0"/>
    <limit lower="-1" upper="1" effort="2" velocity="3"/></joint>
</robot>
"""


def test_a_models_own_options_sensors_cameras_and_ranges_are_kept(tmp_path):
    model = load_scene(probe_contract(tmp_path)).model
    own = mujoco.MjModel.from_xml_string(HAND)
    for name in ("timestep", "integrator", "cone", "jacobian", "noslip_iterations", "impratio", "solver", "iterations"):
        assert getattr(model.opt, name) == getattr(own.opt, name), name
    assert (model.nsensor, model.ncam, model.ntendon) == (own.nsensor, own.ncam, own.ntendon)
    np.testing.assert_array_equal(model.actuator_ctrlrange, own.actuator_ctrlrange)
    np.testing.assert_array_equal(model.actuator_gainprm, own.actuator_gainprm)


def test_options_that_the_scene_names_are_set_and_no_others(tmp_path):
    options = {"timestep": 0.005, "integrator": "implicitfast", "cone": "pyramidal", "gravity": [0, 0, -1.0]}
    opt = load_scene(probe_contract(tmp_path, options=options)).model.opt
    assert (opt.timestep, opt.gravity.tolist()) == (0.005, [0, 0, -1])
    assert int(opt.integrator) == int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST)
    assert int(opt.cone) == int(mujoco.mjtCone.mjCONE_PYRAMIDAL)
    assert (opt.noslip_iterations, opt.impratio) == (3, 5)


def test_a_known_fault_of_the_solver_is_said_once_and_not_mended_in_silence(tmp_path, monkeypatch):
    monkeypatch.setattr(mujoco, "__version__", "4.0.0")
    contract = probe_contract(tmp_path, options={"jacobian": "sparse"})
    with pytest.warns(UserWarning, match="dense"):
        model = load_scene(contract).model
    assert int(model.opt.jacobian) == int(mujoco.mjtJacobian.mjJAC_SPARSE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_scene(contract)  # said before
        for i, options in enumerate([{"jacobian": "dense"}, {"jacobian": "sparse", "solver": "cg"}]):
            (tmp_path / str(i)).mkdir()
            load_scene(probe_contract(tmp_path / str(i), options=options))


@pytest.mark.parametrize(
    ("item", "kind", "size"),
    [
        ({"shape": "sphere", "size": [0.06]}, "SPHERE", [0.03, 0, 0]),
        ({"shape": "box", "size": [0.02, 0.04, 0.06]}, "BOX", [0.01, 0.02, 0.03]),
        ({"shape": "ellipsoid", "size": [0.02, 0.04, 0.06]}, "ELLIPSOID", [0.01, 0.02, 0.03]),
        ({"shape": "cylinder", "size": [0.02, 0.1]}, "CYLINDER", [0.01, 0.05, 0]),
        ({"shape": "capsule", "size": [0.02, 0.1]}, "CAPSULE", [0.01, 0.04, 0]),
    ],
)
def test_objects_have_the_shape_size_and_mass_given(tmp_path, item, kind, size):
    entries = HAND_ENTRIES + of_object("thing", "position", "orientation")
    item |= {"position": [0, 0, 0.5], "orientation": [0, 0, 0.6, 0.8], "mass": 0.07, "friction": [0.5, 0.1, 0.01]}
    scene = load_scene(probe_contract(tmp_path, entries, objects={"thing": item}))
    geom = scene.model.geom("thing")
    assert int(geom.type[0]) == int(getattr(mujoco.mjtGeom, f"mjGEOM_{kind}"))
    np.testing.assert_allclose(geom.size, size, atol=1e-12)
    np.testing.assert_allclose(geom.friction, [0.5, 0.1, 0.01])
    assert scene.model.body_mass[scene.objects["thing"]] == pytest.approx(0.07)
    np.testing.assert_allclose(scene.model.body_quat[scene.objects["thing"]], [0.8, 0, 0, 0.6])


def test_a_mesh_is_an_object_too(tmp_path):
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    faces = "1 2 4, 1 4 3, 5 8 6, 5 7 8, 1 6 2, 1 5 6, 3 4 8, 3 8 7, 1 3 7, 1 7 5, 2 6 8, 2 8 4"
    lines = [f"v {x} {y} {z}" for x, y, z in corners] + [f"f {face}" for face in faces.split(", ")]
    (tmp_path / "block.obj").write_text("\n".join(lines))
    item = {"shape": "mesh", "file": "block.obj", "scale": [0.05] * 3, "position": [0, 0, 0.5], "mass": 0.1}
    scene = load_scene(probe_contract(tmp_path, HAND_ENTRIES + of_object("block", "position"), objects={"block": item}))
    body = scene.objects["block"]
    assert scene.model.body_mass[body] == pytest.approx(0.1)
    np.testing.assert_allclose(scene.model.body_inertia[body], 0.1 * 0.05**2 / 6, rtol=1e-6)
    assert scene.digest != load_scene(_other_block(tmp_path, item)).digest


def _other_block(folder, item):
    (folder / "b").mkdir()
    (folder / "b" / "block.obj").write_text((folder / "block.obj").read_text() + "\n# other bytes\n")
    return probe_contract(folder / "b", HAND_ENTRIES + of_object("block", "position"), objects={"block": item})


def test_a_urdf_gets_servos_and_moves_as_commanded(tmp_path):
    contract = probe_contract(
        tmp_path, ["finger.position", "finger.velocity", "finger.effort"], text=URDF, suffix=".urdf",
        joints={"finger": (-1, 1)}, add_actuators={"fing*": {"kp": 3.0, "kv": 0.2, "force": 0.5}},
        edit={"joints": {"*": {"armature": 0.001, "damping": 0.05}}}, start={"settle": 0.0},
    )  # fmt: skip
    hand = HandSimulation(contract)
    assert hand.model.dof_armature[0] == 0.001
    efforts = []
    for _ in range(30):
        state = hand.step(np.array([0.6]))
        efforts.append(state[2])
    assert state[0] == pytest.approx(0.6, abs=0.05)
    assert max(np.abs(efforts)) <= 0.5 + 1e-9


def test_a_joint_that_one_motor_bends_together_with_another_is_its_tendon(tmp_path):
    hand = HandSimulation(probe_contract(tmp_path))
    for _ in range(20):
        state = hand.step(np.array([0.3, 0.5, 0.9]))
    wanted = dict(zip(hand.contract.task.state.names, state, strict=True))
    first, second = hand.joint("thumb_1")[0], hand.joint("thumb_2")[0]
    assert wanted["thumb.position"] == pytest.approx(first + 0.5 * second)
    assert wanted["thumb.position"] == pytest.approx(0.9, abs=0.05)
    assert wanted["index.position"] == pytest.approx(0.5, abs=0.05)  # its gear is 2
    np.testing.assert_allclose(hand.joint_positions, state[:3])
    np.testing.assert_allclose(hand.joint_velocities, state[3:6])
    np.testing.assert_allclose(hand.held_target, [0.3, 0.5, 0.9])


def test_a_tendon_actuator_is_not_taken_for_the_joint_of_its_number(tmp_path):
    """The thumb's tendon is number 0, and so is the wrist, which then would have the thumb's actuator."""
    scene = load_scene(probe_contract(tmp_path))
    names = [scene.model.actuator(int(i)).name for i in scene.hand.actuators]
    assert names == ["A_wrist", "A_index", "A_thumb"]


def test_an_actuator_can_be_named(tmp_path):
    joints = {"turn": JOINTS["wrist"], "bend": JOINTS["thumb"]}
    entries = ["turn.position", "bend.position", "bend.velocity", "bend.effort"]
    contract = probe_contract(tmp_path, entries, joints=joints, actuators={"turn": "A_wrist", "bend": "A_thumb"})
    hand = HandSimulation(contract)
    for _ in range(20):
        state = hand.step(np.array([0.4, 0.8]))
    np.testing.assert_allclose(state[:2], [hand.joint("wrist")[0], 0.8], atol=0.05)
    with OracleRollout(hand) as oracle:
        predicted = oracle.rollout(None, np.array([[[0.1, 0.2]]]))[0, 0, 0]
    np.testing.assert_allclose(predicted, hand.step(np.array([0.1, 0.2])), atol=1e-9)


def test_targets_that_the_models_range_would_cut_are_said(tmp_path):
    with pytest.warns(UserWarning, match="ctrlrange cuts targets.*index"):
        load_scene(probe_contract(tmp_path, joints=JOINTS | {"index": (-0.2, 1.7)}))


def test_ctrlrange_can_be_the_joints(tmp_path):
    wide = HAND.replace('joint="wrist" kp="4" ctrlrange="-1.5 1.5"', 'joint="wrist" kp="4" ctrlrange="-.1 .1"')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_scene(probe_contract(tmp_path, text=wide, joints={"wrist": (-1.5, 1.5)},
                                          entries=["wrist.position"], ctrlrange="joint")).model  # fmt: skip
    np.testing.assert_allclose(model.actuator("A_wrist").ctrlrange, [-1.5, 1.5])


def test_sensors_and_efforts_are_read_and_foreseen(tmp_path):
    entries = [*HAND_ENTRIES, "tip.value", "push.value", *(f"{j}.effort" for j in JOINTS)]
    sensors = {"tip.value": "index_touch", "push.value": "index_force[2]"}
    hand = HandSimulation(probe_contract(tmp_path, entries, sensors=sensors))
    then = hand.snapshot()
    targets = np.array([[0.5, 1.0, 0.5], [0.2, 0.1, 0.9]])
    lived = [hand.step(target) for target in targets]
    np.testing.assert_array_equal(lived[-1][6:8], [hand.data.sensor("index_touch").data[0],
                                                   hand.data.sensor("index_force").data[2]])  # fmt: skip
    assert np.abs(lived[0][8:]).min() > 1e-3
    assert abs(lived[0][9]) <= 2 * 2 + 1e-9  # the index's force limit at its gear
    with OracleRollout(hand) as oracle:
        np.testing.assert_allclose(oracle.rollout(None, targets[None], start=then)[0, 0], lived, atol=1e-9)
    hand.restore(then)
    np.testing.assert_array_equal(hand.state(), hand.scene.reader.read(then.qpos, then.qvel, then.sensors))


def test_a_touch_sensor_feels_what_lies_on_it(tmp_path):
    item = CUBE | {"position": [0.11, 0.0, 0.345]}
    hand = HandSimulation(
        probe_contract(tmp_path, [*HAND_ENTRIES, "index_touch.value"], objects={"cube": item}, start={"settle": 0.2})
    )
    assert hand.state()[-1] > 0.05


def test_doors_and_drawers_have_positions_and_velocities(tmp_path):
    entries = HAND_ENTRIES + [f"{name}.{q}" for name in ("door", "drawer") for q in ("position", "velocity")]
    hand = HandSimulation(probe_contract(tmp_path, entries, start={"joints": {"door": 0.3, "drawer": 0.05}}))
    assert hand.state()[6:] == pytest.approx([0.3, 0.0, 0.05, 0.0], abs=0.01)


def test_randomised_physics_holds_for_any_shape_and_actuator(tmp_path):
    entries = HAND_ENTRIES + of_object("cube", "position", "orientation")
    contract = probe_contract(tmp_path, entries, objects={"cube": CUBE})
    hand = HandSimulation(contract, SimOptions(mass=0.3, friction=0.2, gain=0.1))
    nominal = load_scene(contract).model
    seen = []
    for seed in range(5):
        hand.reset(seed)
        body = hand.scene.objects["cube"]
        factor = hand.model.body_mass[body] / nominal.body_mass[body]
        np.testing.assert_allclose(hand.model.body_inertia[body] / nominal.body_inertia[body], factor)
        gains = hand.model.actuator_gainprm[:3, 0] / nominal.actuator_gainprm[:3, 0]
        assert np.all(np.abs(gains - 1) <= 0.1)
        np.testing.assert_allclose(hand.model.actuator_biasprm[:3, 1], -hand.model.actuator_gainprm[:3, 0])
        seen.append(factor)
    assert np.ptp(seen) > 0.05
    assert np.all(np.abs(np.array(seen) - 1) <= 0.3)


FAULTS = [
    ({"model": {"file": "no.xml"}}, "no.xml"),
    ({"model": {"package": "no_such_package", "file": "a.xml"}}, "no-such-package"),
    ({"colour": "red"}, "colour: there is no entry"),
    ({"options": {"timestep": 0.0}}, "options.timestep"),
    ({"options": {"cone": "round"}}, "options.cone"),
    ({"options": {"timestep": 0.003}}, "control_period_s 0.05 is not a multiple"),
    ({"edit": {"remove_bodies": ["fist"]}}, "no body 'fist'"),
    ({"edit": {"remove_sensors": ["nose"]}}, "no sensor 'nose'"),
    ({"edit": {"remove_cameras": ["lens"]}}, "no camera 'lens'"),
    ({"edit": {"joints": {"toe*": {"damping": 1.0}}}}, "edit.joints.*'toe"),
    ({"edit": {"gains": {"toe": 1.0}}}, "edit.gains.*toe"),
    ({"objects": {"palm": CUBE}}, "a body 'palm' already"),
    ({"objects": {"cube": CUBE | {"size": [0.1]}}}, "objects.cube.*box has 3 numbers, not 1"),
    ({"objects": {"cube": CUBE | {"size": [0.1, 0.1, -0.1]}}}, "objects.cube.size.2"),
    ({"objects": {"cube": CUBE | {"mass": 0.0}}}, "objects.cube.mass"),
    ({"objects": {"cube": CUBE | {"shape": "cone"}}}, "objects.cube.shape"),
    ({"objects": {"cube": CUBE | {"orientation": [0, 0, 0, 0]}}}, "objects.cube.orientation.*unit quaternion"),
    ({"objects": {"cube": CUBE | {"shape": "capsule", "size": [0.1, 0.1]}}}, "counts its caps"),
    ({"objects": {"cube": CUBE | {"shape": "mesh", "size": []}}}, "a mesh has a file"),
    ({"objects": {"cube": CUBE | {"shape": "mesh", "size": [], "file": "no.obj"}}}, "cube: there is no file .*no.obj"),
    ({"objects": {"cube": CUBE | {"file": "no.obj"}}}, "a box has no file"),
    ({"add_actuators": {"toe": {"kp": 1.0}}}, "add_actuators.*'toe'"),
    ({"add_actuators": {"index": {"kp": 1.0}}}, "'index' has an actuator already"),
    ({"actuators": {"toe": "A_index"}}, "the contract has no joint toe"),
    ({"actuators": {"index": "A_toe"}}, "index.*no actuator 'A_toe'.*A_index"),
    ({"actuators": {"index": "A_door"}}, "index.*A_door is not a position servo"),
    ({"actuators": {"index": "A_wrist"}}, "A_wrist moves two joints"),
    ({"frame": "elbow"}, "frame.*'elbow'"),
    ({"start": {"key": "drop"}}, "start.key.*'drop'.*hold"),
    ({"start": {"joints": {"toe": 0.0}}}, "start.joints.*'toe'"),
    ({"start": {"joints": {"index": 2.0}}}, "index is at 2.*limits"),
    ({"start": {"objects": {"cup": {"position": [0, 0, 0]}}}}, "start.objects.*'cup'"),
    ({"start": {"vary": {"joints": {"toe": 0.1}}}}, "start.vary.joints.*'toe'"),
    ({"start": {"vary": {"objects": {"cup": {"position": 0.1}}}}}, "start.vary.objects.*'cup'"),
    ({"start": {"vary": {"objects": {"pen": {"orientation": {"about": [0, 0, 0], "range": 1.0}}}}}}, "direction"),
    ({"start": {"vary": {"joints": {"index": "much"}}}}, "start.vary.joints.index"),
]


@pytest.mark.parametrize(("scene", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_a_fault_of_a_scene_is_said_with_its_file_and_place(tmp_path, scene, said):
    with pytest.raises(ContractError, match=f"(?s)scene.yaml.*{said}"):
        HandSimulation(probe_contract(tmp_path, **scene))


ENTRY_FAULTS = [
    (["toe.position"], {}, "no joint 'toe' for the state's toe.position.*index"),
    (of_object("cube", "position"), {}, "no free object 'cube'.*pen"),
    (of_object("palm", "position"), {}, "no free object 'palm'"),
    (["nose.value"], {}, "no sensor 'nose'.*index_touch"),
    (["nose.value"], {"sensors": {"nose.value": "index_force"}}, "has 3 numbers; say index_force.0."),
    (["nose.value"], {"sensors": {"nose.value": "index_force[3]"}}, "has 3 numbers"),
    (["toe.effort"], {}, "no sensor 'toe.effort'"),
]


@pytest.mark.parametrize(("entries", "scene", "said"), ENTRY_FAULTS)
def test_a_state_entry_that_the_world_lacks_is_named_with_what_it_has(tmp_path, entries, scene, said):
    with pytest.raises(ContractError, match=f"scene.yaml.*{said}"):
        load_scene(probe_contract(tmp_path, entries, **scene))


@pytest.mark.parametrize(
    ("joints", "said"),
    [
        ({"toe": (0, 1)}, "no joint or tendon 'toe'.*A_index"),
        ({"drawer": (-0.1, 0.1)}, "joint 'drawer' has no actuator.*add_actuators"),
        ({"thumb_1": (0, 1)}, "'thumb_1' is moved together with others by 'A_thumb'"),
        ({"door": (-1, 1)}, "door.*A_door is not a position servo"),
    ],
)
def test_a_joint_that_nothing_moves_to_a_position_is_refused(tmp_path, joints, said):
    with pytest.raises(ContractError, match=f"scene.yaml.*{said}"):
        load_scene(probe_contract(tmp_path, [f"{name}.position" for name in joints], joints=joints))


def test_a_digest_is_of_what_matters(tmp_path):
    def digest(name, **scene):
        (tmp_path / name).mkdir()
        contract = probe_contract(tmp_path / name, **scene)
        path = contract.folder / "scene.yaml"
        path.write_text("# a remark\n" + path.read_text())
        return load_scene(contract).digest

    first = digest("a")
    assert len(first) == 64
    assert digest("b") == first
    assert digest("c", options={"timestep": 0.001}) != first
    assert digest("d", text=HAND.replace('kp="3"', 'kp="3.1"')) != first
    part = "<mujoco><default><geom friction='{}'/></default></mujoco>"
    whole = HAND.replace("<worldbody>", "<include file='part.xml'/><worldbody>", 1)
    digests = []
    for name, friction in (("e", 1), ("f", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.xml").write_text(part.format(friction))
        digests.append(load_scene(probe_contract(tmp_path / name, text=whole)).digest)
    assert digests[0] != digests[1]


def test_the_viewpoint_is_the_scenes_or_shows_all_of_the_model(tmp_path):
    camera = {"position": [1.0, 2.0, 3.0], "look_at": [0.0, 0.1, 0.2]}
    assert load_scene(probe_contract(tmp_path, camera=camera)).camera.model_dump(mode="json") == camera
    (tmp_path / "own").mkdir()
    scene = load_scene(probe_contract(tmp_path / "own"))
    assert scene.camera.look_at == pytest.approx(tuple(scene.model.stat.center))
    away = np.subtract(scene.camera.position, scene.camera.look_at)
    assert 1 < np.linalg.norm(away) / scene.model.stat.extent < 2
    assert away[2] > 0


WHOLE = {
    "robot": "probe", "task": "probe", "objects": {"cube": CUBE}, "frame": "palm", "ctrlrange": "joint",
    "options": {"timestep": 0.005, "cone": "pyramidal", "gravity": [0, 0, -9.8], "iterations": 20},
    "edit": {"remove_bodies": ["door"], "place": {"palm": [0, 0, 0.3]}, "gains": {"wrist": 2.0},
             "floor": {"table": 0.0}, "joints": {"th*": {"armature": 0.01}}, "remove_sensors": ["index_force"]},
    "add_actuators": {"drawer": {"kp": 1.0, "kv": 0.1, "force": 2.0}}, "actuators": {"thumb": "A_thumb"},
    "sensors": {"tip.value": "index_touch"}, "camera": {"position": [1, 0, 1], "look_at": [0, 0, 0]},
    "start": {"settle": 0.01, "joints": {"index": 0.1}, "objects": {"pen": {"position": [0, 0.4, 0.1]}},
              "vary": {"joints": {"index": 0.01}, "objects": {"cube": {"position": 0.001, "orientation": "any"}}}},
}  # fmt: skip
JUNK = [None, True, -1, 0, 2.5, float("inf"), "", "x", [], [1], [0, 0, 0], ["wrist"], {}, {"x": 1}, {"wrist": "x"}]


def places(document, at=()):
    """Paths of all entries."""
    rows = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in rows:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.sampled_from(sorted(places(WHOLE), key=str)), junk=st.sampled_from(JUNK))
def test_junk_anywhere_in_a_scene_is_a_contract_error_or_a_world(tmp_path_factory, at, junk):
    scene = copy.deepcopy(WHOLE)
    inner = scene
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = junk
    entries = [*HAND_ENTRIES, *of_object("cube", "position", "orientation"), "tip.value"]
    try:
        HandSimulation(probe_contract(tmp_path_factory.mktemp("junk"), entries, **scene))
    except ContractError as error:
        assert "scene.yaml" in str(error)  # noqa: PT017 (junk may also be a world)
    except MbrlError as error:
        assert "simulation:" in str(error)  # noqa: PT017 (a world whose physics diverges)
