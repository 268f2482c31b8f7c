# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.sim_options import PERTURBED, SimOptions


def test_a_perfect_env_is_the_simulation(contract):
    plain, env = HandSimulation(contract), HandEnv(HandSimulation(contract))
    state = plain.reset(3)
    stamp, sensed = env.reset(3)
    assert stamp == 0
    np.testing.assert_array_equal(sensed, state)
    target = contract.action.to_target(np.full(len(contract.action), 0.2))
    for _ in range(3):
        stamp, sensed = env.step(target)
        np.testing.assert_array_equal(sensed, plain.step(target))
        assert stamp == plain.time


def test_latency_shows_an_older_state(contract_of):
    contract = contract_of("valve")
    hand = HandEnv(HandSimulation(contract, SimOptions(observation_latency=0.03)))
    hand.reset(0)
    target = contract.action.to_target(np.full(len(contract.action), 0.5))
    stamp, sensed = hand.step(target)
    assert stamp == pytest.approx(0.07)
    assert not np.array_equal(sensed, hand.simulation.state())
    twin = HandSimulation(contract)
    twin.reset(0)
    twin.command(target)
    twin.advance(0.07)
    np.testing.assert_allclose(sensed, twin.state(), atol=1e-9)


def test_command_latency_delays_the_motion(contract_of):
    contract = contract_of("valve")
    target = contract.action.to_target(np.full(len(contract.action), 0.5))
    hand = HandEnv(HandSimulation(contract, SimOptions(command_latency=0.1)))
    hand.reset(0)
    before = hand.simulation.held_target
    hand.step(target)
    np.testing.assert_array_equal(hand.simulation.held_target, before)
    hand.step(target)
    assert not np.array_equal(hand.simulation.held_target, before)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_perturbed_episode_repeats(contract_of, seed):
    contract = contract_of("valve")
    hand = HandEnv(HandSimulation(contract, PERTURBED))

    def episode():
        out = [hand.reset(seed)]
        out += [hand.step(contract.action.neutral) for _ in range(5)]
        return np.array([np.append(values, stamp) for stamp, values in out])

    np.testing.assert_array_equal(episode(), episode())
