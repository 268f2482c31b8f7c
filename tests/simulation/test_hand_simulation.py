# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.planning.random_motion import RandomMotion
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.scene import load_scene
from mbrl_controller.simulation.sim_options import PERTURBED, SimOptions


def drive(hand, seed, steps):
    policy = RandomMotion(len(hand.contract.action), seed)
    return np.array([hand.step(hand.contract.action.to_target(policy())) for _ in range(steps)])


def test_a_seed_gives_the_same_episode(contract):
    one, two = HandSimulation(contract), HandSimulation(contract)
    drive(two, 9, 3)  # what went before must not matter
    np.testing.assert_array_equal(one.reset(5), two.reset(5))
    np.testing.assert_array_equal(drive(one, 1, 5), drive(two, 1, 5))
    assert not np.array_equal(one.reset(5), one.reset(6))


def test_state_holds_what_its_names_say(hand):
    drive(hand, 0, 3)
    state = dict(zip(hand.contract.task.state.names, hand.state(), strict=True))
    for name, position, velocity in zip(
        hand.contract.action.names, hand.joint_positions, hand.joint_velocities, strict=True
    ):
        assert state[f"{name}.position"] == position
        assert state.get(f"{name}.velocity", velocity) == velocity
    for name in hand.scene.objects:
        seen = hand.object(name)
        for i, axis in enumerate("xyz"):
            assert state[f"{name}.position.{axis}"] == seen.position[i]
            assert state[f"{name}.velocity.{axis}"] == seen.velocity[i]
    if "valve.position" in state:
        assert (state["valve.position"], state["valve.velocity"]) == hand.joint("valve")


def test_an_object_twist_is_in_the_world_frame(baoding):
    """A ball in free flight: velocities in the state are what its positions change by, whatever way it is turned."""
    start = baoding.snapshot()
    at, vat = baoding.scene.free_qpos["ball_a"], baoding.scene.free_qvel["ball_a"]
    start.qpos[at : at + 7] = [0.3, 0.0, 0.6, np.cos(0.5), np.sin(0.5), 0, 0]  # turned 1 rad about x
    start.qvel[vat : vat + 6] = [0.1, 0.2, 0.3, 0, 0, 2.0]  # spins about its own z
    baoding.restore(start)
    before = baoding.object("ball_a")
    np.testing.assert_allclose(before.angular_velocity, [0, -2 * np.sin(1), 2 * np.cos(1)], atol=1e-12)
    baoding.advance(0.05)
    moved = (baoding.object("ball_a").position - before.position) / 0.05
    np.testing.assert_allclose(moved[:2], before.velocity[:2], atol=1e-9)
    assert moved[2] == pytest.approx(0.3 - 9.81 * 0.05 / 2, abs=0.03)


def test_a_restored_snapshot_goes_on_identically(hand):
    drive(hand, 0, 4)
    hand.advance(0.015)  # in the middle of a control period
    then = hand.snapshot()
    hand.advance(0.1)
    first = [hand.state(), drive(hand, 3, 4)]
    hand.restore(then)
    hand.advance(0.1)
    again = [hand.state(), drive(hand, 3, 4)]
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_a_snapshot_is_not_changed_by_going_on(hand):
    then = hand.snapshot()
    kept = then.qpos.copy()
    drive(hand, 0, 2)
    np.testing.assert_array_equal(then.qpos, kept)


def test_real_time_advance_equals_stepping(contract):
    one, two = HandSimulation(contract), HandSimulation(contract)
    target = contract.action.to_target(np.full(len(contract.action), 0.3))
    one.step(target)
    two.command(target)
    made = sum(two.advance(0.0037) for _ in range(27)) + two.advance(0.0001)
    assert made == one.scene.substeps
    assert two.time == pytest.approx(one.time)
    np.testing.assert_array_equal(one.state(), two.state())


def test_time_does_not_drift_over_uneven_advances(valve):
    for _ in range(300):
        valve.advance(0.0033)
    assert valve.time == pytest.approx(300 * 0.0033, abs=valve.model.opt.timestep)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(0, 50))
def test_a_command_is_cut_to_rate_and_limits(valve, seed, size):
    action = valve.contract.action
    before = valve.joint_positions
    target = np.random.default_rng(seed).uniform(-size, size, len(action))
    held = valve.command(target)
    np.testing.assert_array_equal(held, action.limit(target, before))
    np.testing.assert_array_equal(valve.held_target, held)
    assert (held >= action.lower).all()
    assert (held <= action.upper).all()
    valve.advance(0.02)


def test_bad_commands_are_refused_and_change_nothing(hand):
    held = hand.held_target
    for bad in (np.zeros(3), np.full(len(hand.contract.action), np.nan)):
        with pytest.raises(MbrlError):
            hand.step(bad)
    np.testing.assert_array_equal(hand.held_target, held)
    assert hand.time == 0


def test_diverging_physics_is_an_error_until_the_next_reset(hand, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    broken = hand.snapshot()
    broken.qvel[:] = 1e11
    hand.restore(broken)
    with pytest.raises(MbrlError, match="diverged"):
        hand.step(hand.contract.action.neutral)
    hand.reset(0)
    hand.step(hand.contract.action.neutral)


def test_holding_the_pose_keeps_both_balls_and_turns_nothing(baoding):
    task, neutral = baoding.contract.task, baoding.contract.action.neutral
    for seed in range(3):
        states = [baoding.reset(seed)] + [baoding.step(neutral) for _ in range(100)]
        times = 0.1 * np.arange(101)
        goal = task.sample_goal(np.random.default_rng(seed))
        metrics = task.metrics(np.array(states), np.tile(neutral, (100, 1)), goal.at(times), 0.1)
        assert not task.at_risk(np.array(states)).any()
        assert metrics.time_kept == pytest.approx(10.0)
        assert abs(metrics.values["degrees_turned"]) < 5
        assert not metrics.goal_reached


def test_random_motion_soon_drops_a_ball(baoding):
    kept = []
    for seed in range(9):
        baoding.reset(seed)
        kept.append(baoding.contract.task.time_kept(drive(baoding, seed, 60), 0.1))
    assert 0.3 < np.median(kept) < 3.0


def test_targets_start_near_the_balls(baoding):
    task = baoding.contract.task
    state, target = baoding.reset(0), task.sample_goal(np.random.default_rng(0), phase=task.phase).at(np.array(0.0))
    for ball in range(2):
        where = state[task.state.indices([f"ball_{'ab'[ball]}.position.{axis}" for axis in "xy"])]
        assert np.linalg.norm(where - target[2 * ball : 2 * ball + 2]) < 0.02


def test_the_valve_stays_where_it_is_left(valve):
    valve.reset(3)
    drive(valve, 3, 30)
    neutral = valve.contract.action.neutral
    for _ in range(10):
        valve.step(neutral)
    rested, _ = valve.joint("valve")
    for _ in range(20):
        valve.step(neutral)
    angle, speed = valve.joint("valve")
    assert angle == pytest.approx(rested, abs=0.01)
    assert abs(speed) < 1e-3


def test_the_claw_reaches_the_valve_but_starts_clear_of_it(valve):
    turned = []
    for seed in range(8):
        angle = valve.reset(seed)[18]
        assert abs(valve.joint("valve")[0] - angle) < 1e-9
        assert abs(valve.joint("valve")[1]) < 1e-6
        turned.append(np.ptp(drive(valve, seed, 60)[:, 18]))
    assert max(turned) > np.radians(20)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_randomisation_stays_in_its_range_and_does_not_add_up(contract_of, seed):
    options = SimOptions(mass=0.3, friction=0.2, gain=0.1, start_pose_noise=0.03, start_angle_noise=0.5)
    for task in ("baoding", "valve"):
        hand = _randomised(contract_of(task), options)
        nominal = load_scene(contract_of(task)).model
        hand.reset(seed)
        model = hand.model
        for body in hand.scene.objects.values():
            assert 0.7 <= model.body_mass[body] / nominal.body_mass[body] <= 1.3
        assert np.all(np.abs(model.geom_friction / nominal.geom_friction - 1) <= 0.2 + 1e-9)
        gains = model.actuator_gainprm[:, 0] / nominal.actuator_gainprm[:, 0]
        assert np.all(np.abs(gains - 1) <= 0.1 + 1e-9)
        np.testing.assert_allclose(model.actuator_biasprm[:, 1], -model.actuator_gainprm[:, 0])
        if task == "valve":
            assert abs(hand.joint("valve")[0]) <= 0.5 + 1e-6


_HANDS: dict[str, HandSimulation] = {}


def _randomised(contract, options):
    """The same hand for every example: were draws to add up over resets, they would leave their range."""
    if contract.task.name not in _HANDS:
        _HANDS[contract.task.name] = HandSimulation(contract, options)
    return _HANDS[contract.task.name]


def test_different_physics_behave_differently(contract_of):
    contract = contract_of("baoding")
    states = []
    for options in (SimOptions(), SimOptions(mass=0.3, friction=0.3, gain=0.2)):
        hand = HandSimulation(contract, options)
        hand.reset(4)
        states.append(drive(hand, 4, 5)[-1])
    assert not np.allclose(states[0], states[1])


def test_perturbed_starts_keep_the_object(contract):
    hand = HandSimulation(contract, PERTURBED)
    for seed in range(20):
        assert not contract.task.at_risk(hand.reset(seed))


def test_a_start_that_cannot_be_kept_is_said(contract_of):
    contract = contract_of("baoding")
    flat = contract.text.replace("neutral: 1.167", "neutral: 0.0").replace("neutral: 1.144", "neutral: 0.0")
    flat = flat.replace("neutral: 1.112", "neutral: 0.0").replace("neutral: 1.25", "neutral: 0.0")
    flat = flat.replace("neutral: -0.398", "neutral: 0.6")
    with pytest.raises(MbrlError, match="start"):
        HandSimulation(parse_contract(flat))
