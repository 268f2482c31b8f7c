# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Contact physics by option: what the model becomes, that nothing of it stays, and that starts do not depend on it."""

import mujoco
import numpy as np
import pytest
from pydantic import ValidationError

from mbrl_controller.base.errors import ContractError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.simulation.contact_physics import ContactPhysics
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.oracle import OracleRollout
from mbrl_controller.simulation.sim_options import NOMINAL, SimOptions

BALL = "ball_a"


def baoding(**options) -> HandSimulation:
    return HandSimulation(contract_for("baoding"), SimOptions(**options))


def physics(hand: HandSimulation) -> list[np.ndarray]:
    """All that the options may change."""
    model, own = hand.model, ContactPhysics.of(hand.model)
    fixed = [np.array(list(own.options.values())), model.geom_friction.copy(), model.body_mass.copy()]
    return [*fixed, own.geom_condim, own.geom_solref, own.geom_solimp, model.actuator_gainprm.copy()]


def test_each_option_is_in_the_model() -> None:
    hand = baoding(
        cone="elliptic", noslip_iterations=3, physics_step=0.002, integrator="euler", impedance_ratio=2.0,
        contact_time=0.04, contact_damping=0.8, contact_impedance=0.7, condim=6, torsional_friction=0.3,
        rolling_friction=0.02, mass_factor=2.0, friction_factor=0.5, gain_factor=0.5, start_pose_noise=0.0,
    )  # fmt: skip
    plain, model = baoding(), hand.model
    opt = model.opt
    assert int(opt.cone) == int(mujoco.mjtCone.mjCONE_ELLIPTIC)
    assert int(opt.integrator) == int(mujoco.mjtIntegrator.mjINT_EULER)
    assert (opt.noslip_iterations, opt.timestep, opt.impratio) == (3, 0.002, 2.0)
    assert hand.scene.substeps == 50
    assert np.unique(model.geom_solref, axis=0).tolist() == [[0.04, 0.8]]
    assert np.unique(model.geom_solimp[:, :2]).tolist() == [0.7]
    ball, body = model.geom(BALL).id, hand.scene.objects[BALL]
    assert model.geom_condim[ball] == 6
    assert model.geom_friction[ball].tolist() == [0.5, 0.3, 0.02]
    assert model.body_mass[body] == pytest.approx(2 * plain.model.body_mass[body])
    assert model.actuator_gainprm[:, 0] == pytest.approx(plain.model.actuator_gainprm[:, 0] / 2)


def test_without_options_the_world_is_as_the_scene_says() -> None:
    hand = baoding()
    scene = [value.copy() for value in physics(hand)]
    hand.reset(5)
    for own, now in zip(scene, physics(hand), strict=True):
        assert np.array_equal(own, now)


def test_a_list_is_drawn_from_anew_for_each_episode_and_a_seed_draws_the_same_again() -> None:
    hand = baoding(cone=["pyramidal", "elliptic"], physics_step=[0.005, 0.002], contact_time=[0.02, 0.03, 0.04])
    seen = []
    for seed in [*range(8), *range(8)]:
        hand.reset(seed)
        assert hand.scene.substeps * hand.scene.timestep == pytest.approx(0.1)
        seen.append((int(hand.model.opt.cone), hand.scene.timestep, hand.model.geom_solref[0, 0]))
    assert seen[:8] == seen[8:]
    assert all(len(set(values)) > 1 for values in zip(*seen, strict=True))


def test_a_seed_starts_alike_in_every_world_and_one_option_leaves_another_ones_draws() -> None:
    kept = []
    for options in ({}, {"cone": "elliptic"}, {"cone": ["elliptic"], "condim": [4, 6]}):
        hand = HandSimulation(contract_for("valve"), SimOptions(friction=0.3, contact_time=[0.02, 0.04], **options))
        hand.reset(3)
        kept.append((hand.model.geom_solref[0, 0], hand.model.geom_friction[0, 0], hand.joint_positions.tolist()))
    assert [one[:2] for one in kept[1:]] == [kept[0][:2]] * 2
    assert np.allclose([one[2] for one in kept], kept[0][2], atol=1e-3)  # they settled in another physics


def test_an_environment_follows_the_step_of_its_episode() -> None:
    hand = HandEnv(baoding(physics_step=[0.005, 0.002], joint_noise=0.001))
    steps = set()
    for seed in range(6):
        hand.reset(seed)
        stamp, _ = hand.step(hand.simulation.held_target)
        assert hand.simulation.time == pytest.approx(0.1)
        assert stamp == pytest.approx(0.1)
        steps.add(hand.simulation.scene.timestep)
    assert steps == {0.005, 0.002}


def test_the_oracle_predicts_in_the_physics_of_the_episode() -> None:
    hand = baoding(cone="elliptic", noslip_iterations=3, physics_step=0.002)
    hand.reset(1)
    target = hand.held_target + 0.05
    with OracleRollout(hand, threads=1) as oracle:
        predicted = oracle.rollout(None, target[None, None])[0, 0, 0]
    assert np.array_equal(predicted, hand.step(target))


def test_kept_tendons_couple_the_fingers() -> None:
    free, coupled = baoding(), baoding(tendons="kept")
    assert free.model.ntendon == 0
    assert coupled.model.ntendon > 0
    assert free.scene.digest == coupled.scene.digest
    names = free.contract.action.names
    bent = free.held_target
    bent[names.index("FFJ1")], bent[names.index("FFJ0")] = 1.5, 0.0
    apart = []
    for hand in (free, coupled):
        for _ in range(5):
            hand.step(bent)
        apart.append(abs(np.subtract(*hand.joint_positions[[names.index("FFJ1"), names.index("FFJ0")]])))
    assert apart[1] < apart[0]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ContractError, match="multiple"):
        baoding(physics_step=0.003)
    for bad in ({"condim": 2}, {"condim": [4, 5]}, {"cone": "round"}, {"contact_time": 0.0}, {"noslip_iterations": -1}):
        with pytest.raises(ValidationError):
            SimOptions(**bad)
    assert SimOptions(condim=()) == NOMINAL
