# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time

import numpy as np
import pytest

from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.oracle import OracleRollout
from mbrl_controller.simulation.sim_options import SimOptions


@pytest.mark.parametrize("threads", [1, 2])
def test_the_oracle_predicts_what_then_happens(hand, threads):
    action = hand.contract.action
    hand.reset(2)
    hand.step(action.neutral)
    targets = action.to_target(np.random.default_rng(0).uniform(-1, 1, (6, 5, len(action))))
    now = hand.snapshot()
    with OracleRollout(hand, threads=threads) as oracle:
        states = oracle.rollout(None, targets)
        assert states.shape == (1, 6, 5, len(hand.contract.task.state))
        np.testing.assert_array_equal(hand.state(), _restored_state(hand, now))  # looking ahead moves nothing
        for candidate in range(6):
            hand.restore(now)
            lived = [hand.step(target) for target in targets[candidate]]
            np.testing.assert_allclose(states[0, candidate], lived, atol=1e-9)


def _restored_state(hand, snapshot):
    hand.restore(snapshot)
    return hand.state()


def test_a_rollout_from_a_snapshot_ignores_the_present(hand):
    action = hand.contract.action
    targets = action.to_target(np.random.default_rng(1).uniform(-1, 1, (3, 2, len(action))))
    with OracleRollout(hand) as oracle:
        then = hand.snapshot()
        first = oracle.rollout(None, targets)
        hand.step(targets[0, 0])
        np.testing.assert_array_equal(oracle.rollout(None, targets, start=then), first)
        assert not np.array_equal(oracle.rollout(None, targets), first)


def test_the_oracle_sees_the_randomised_physics(contract_of):
    contract = contract_of("valve")
    hand = HandSimulation(contract, SimOptions(gain=0.5, start_pose_noise=0.0))
    targets = contract.action.to_target(np.full((1, 1, len(contract.action)), 0.5))
    with OracleRollout(hand) as oracle:
        for seed in (1, 2):
            hand.reset(seed)
            predicted = oracle.rollout(None, targets)[0, 0, 0]
            np.testing.assert_allclose(predicted, hand.step(targets[0, 0]), atol=1e-9)


def test_the_oracle_is_fast_enough_to_plan_with(baoding):
    """Guards against a slow path (every contact solved sparse, data copied per step): 30,000 steps/s is usual."""
    action = baoding.contract.action
    targets = action.to_target(np.random.default_rng(0).uniform(-0.5, 0.5, (64, 4, len(action))))
    with OracleRollout(baoding, threads=1) as oracle:
        began = time.process_time()
        oracle.rollout(None, targets)
        assert 64 * 4 * baoding.scene.substeps / (time.process_time() - began) > 3000
