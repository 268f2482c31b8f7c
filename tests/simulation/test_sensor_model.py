# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mbrl_controller.base.errors import ContractError
from mbrl_controller.simulation.sensor_model import ActuatorDelay, SensorModel, noise_levels
from mbrl_controller.simulation.sim_options import NOMINAL, PERTURBED, SimOptions
from mbrl_controller.simulation.sim_presets import preset
from mbrl_controller.tasks.orientation import orthonormal, random_orientation, rotation_vector
from mbrl_controller.tasks.spaces import AXES

ENTRIES = ["FFJ1.position", "FFJ1.velocity", "ball_a.position.x", "ball_a.velocity.z", "valve.position"]


def sense(options, seed, times, values=None):
    sensor = SensorModel(ENTRIES, options, seed)
    return [sensor.observe(t, np.full(len(ENTRIES), t) if values is None else values) for t in times]


def test_noise_goes_to_the_entries_it_is_meant_for():
    options = SimOptions(joint_noise=0.1, joint_velocity_noise=0.2, object_noise=0.03, object_velocity_noise=0.4)
    assert noise_levels(ENTRIES, options).tolist() == [0.1, 0.2, 0.03, 0.4, 0.1]


def test_noise_has_the_size_asked_for_and_no_bias():
    options = SimOptions(joint_noise=0.1, object_noise=0.02)
    seen = np.array([values for _, values in sense(options, 1, np.arange(4000) * 0.01, np.zeros(len(ENTRIES)))])
    np.testing.assert_allclose(seen.std(0), [0.1, 0, 0.02, 0, 0.1], rtol=0.06)
    assert np.abs(seen.mean(0)).max() < 0.01


def test_a_perfect_sensor_tells_the_truth_at_once():
    for t, (stamp, values) in zip([0.0, 0.1], sense(SimOptions(), 0, [0.0, 0.1]), strict=True):
        assert stamp == t
        assert (values == t).all()


@settings(max_examples=50, deadline=None)
@given(latency=st.floats(0, 0.5), step=st.floats(0.002, 0.2), seed=st.integers(0, 2**32 - 1))
def test_measurements_arrive_no_sooner_than_the_latency_in_order_and_once(latency, step, seed):
    times = np.arange(40) * step
    seen = sense(SimOptions(observation_latency=latency, drop_probability=0.2), seed, times)
    stamps = []
    for now, sample in zip(times, seen, strict=True):
        if sample is not None:
            stamp, values = sample
            assert now - stamp >= latency - 1e-8
            assert (values == stamp).all()
            stamps.append(stamp)
    assert stamps == sorted(set(stamps))


def test_latency_is_no_longer_than_needed():
    times = np.arange(100) * 0.01
    seen = sense(SimOptions(observation_latency=0.02), 0, times)
    assert seen[:2] == [None, None]
    np.testing.assert_allclose([sample[0] for sample in seen[2:]], times[:-2])


def test_losses_have_the_share_asked_for():
    seen = sense(SimOptions(drop_probability=0.3), 7, np.arange(3000) * 0.01)
    assert sum(sample is None for sample in seen) / 3000 == pytest.approx(0.3, abs=0.03)


def test_a_seed_repeats_noise_and_losses():
    options = SimOptions(joint_noise=0.1, drop_probability=0.3, observation_latency=0.03)
    times = np.arange(50) * 0.01
    assert repr(sense(options, 3, times)) == repr(sense(options, 3, times))
    assert repr(sense(options, 3, times)) != repr(sense(options, 4, times))


def test_losses_do_not_change_the_noise_of_the_others():
    times = np.arange(50) * 0.01
    every = sense(SimOptions(joint_noise=0.1), 3, times)
    some = sense(SimOptions(joint_noise=0.1, drop_probability=0.4), 3, times)
    for whole, sample in zip(every, some, strict=True):
        if sample is not None:
            np.testing.assert_array_equal(sample[1], whole[1])


@settings(max_examples=50, deadline=None)
@given(latency=st.floats(0, 0.3), sent=st.lists(st.floats(0, 1), min_size=1, max_size=10).map(sorted))
def test_commands_take_effect_after_their_delay_in_order(latency, sent):
    delay = ActuatorDelay(latency)
    for i, when in enumerate(sent):
        delay.push(when, np.array([float(i)]))
    last = -1.0
    for now in np.arange(0, 1.5, 0.01):
        command = delay.pop(now)
        if command is not None:
            assert command[0] > last
            last = command[0]
            assert sent[int(last)] + latency <= now + 1e-8
        due = [i for i, when in enumerate(sent) if when + latency <= now]
        assert last >= (due[-1] if due else -1)
    assert last == len(sent) - 1


def test_a_command_is_copied_when_sent():
    delay, command = ActuatorDelay(0.0), np.zeros(2)
    delay.push(0.0, command)
    command[:] = 9
    np.testing.assert_array_equal(delay.pop(0.0), [0, 0])


def test_presets_and_options_are_checked():
    assert preset("nominal") == NOMINAL
    assert preset("perturbed") == PERTURBED
    with pytest.raises(ContractError):
        preset("harsh")
    for bad in ({"mass": 1.5}, {"drop_probability": 1.0}, {"joint_noise": -0.1}, {"mas": 0.1}):
        with pytest.raises(ValidationError):
            SimOptions(**bad)


TRACKED = [*(f"cube.orientation.{part}" for part in AXES), "cube.angular_velocity.x", "F1.effort", "tip.value"]


def test_an_orientation_is_turned_and_stays_one():
    options = SimOptions(orientation_noise=0.05, angular_velocity_noise=0.3, effort_noise=0.02, array_noise=4.0)
    sensor, true = SensorModel(TRACKED, options, 0), np.append(random_orientation(np.random.default_rng(1)), [1, 2, 3])
    seen = np.array([sensor.observe(t, true)[1] for t in np.arange(1500) * 0.01])
    np.testing.assert_allclose(orthonormal(seen[:, :6]), seen[:, :6], atol=1e-12)
    turns = rotation_vector(true[:6], seen[:, :6])
    np.testing.assert_allclose(turns.std(0), 0.05, rtol=0.08)
    np.testing.assert_allclose(turns.mean(0), 0, atol=0.005)
    np.testing.assert_allclose(seen[:, 6:].std(0), [0.3, 0.02, 4.0], rtol=0.08)


def test_without_orientations_no_more_numbers_are_drawn():
    """The shipped worlds' noise is what it was before there were orientations."""
    options = SimOptions(joint_noise=0.1, orientation_noise=0.1)
    rng = np.random.default_rng(5)
    expected = noise_levels(ENTRIES, options) * rng.standard_normal(len(ENTRIES))
    sensor = SensorModel(ENTRIES, options, 5)
    np.testing.assert_array_equal(sensor.observe(0.0, np.zeros(len(ENTRIES)))[1], expected)
    rng.random()
    expected = noise_levels(ENTRIES, options) * rng.standard_normal(len(ENTRIES))
    np.testing.assert_array_equal(sensor.observe(0.1, np.zeros(len(ENTRIES)))[1], expected)
