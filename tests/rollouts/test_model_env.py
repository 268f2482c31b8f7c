# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The ensemble as a vectorised environment: its transitions are those of the model, its rewards the task's."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.loading import load_ensemble
from mbrl_controller.models.registry import Registry

pytest.importorskip("gymnasium")
from mbrl_controller.rollouts.model_env import LearnedVectorEnv, Starts


class Ensemble:
    """Two members: each moves every entry of the state by its own amount."""

    size, path = 2, "made up"

    def __init__(self, change=(0.0, 0.01), broken=False):
        self.change = np.array(change, dtype=np.float32)
        self.broken = broken

    def predict(self, state, action):
        after = np.asarray(state, dtype=np.float32)[None] + self.change[:, None, None]
        return after * np.nan if self.broken else after


def shipped(task):
    found = Registry(share_dir() / "models").current(task)
    contract = contract_for(task)
    return load_ensemble(found.model, task=contract.task, action=contract.action), contract


def rest(contract, rows=3):
    """States at the neutral pose, the other entries zero."""
    states = np.zeros((rows, len(contract.task.state)))
    states[:, contract.task.joint_positions] = contract.action.neutral
    return Starts(states, 0.1 * np.arange(rows))


def test_each_rollout_is_its_members_in_the_models_own_rollout():
    ensemble, contract = shipped("valve")
    env = LearnedVectorEnv(ensemble, contract, rest(contract), num_envs=6, steps=8)
    actions = np.random.default_rng(1).uniform(-1, 1, (7, 6, 9))
    _, info = env.reset(seed=4)
    start, states, commands = info["state"], [], []
    for action in actions:
        *_, info = env.step(action)
        states.append(info["state"])
        commands.append(info["command"])
    assert set(env.member) == set(range(ensemble.size))
    for i, member in enumerate(env.member):
        targets = np.array(commands)[None, :, i]
        own = np.array(ensemble.rollout(start[i], targets)[member, 0])
        assert np.allclose(np.array(states)[:, i], own, rtol=0, atol=1e-5)


def test_rewards_goals_and_time_are_the_tasks():
    contract = contract_for("valve")
    env = LearnedVectorEnv(Ensemble(), contract, rest(contract), 4, 5, goal_options={"angle": 1.0})
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    size = len(contract.task.state)
    assert (observation[:, size:] == 1.0).all()
    _, rewards, _, _, info = env.step(np.zeros((4, 9)))
    assert np.allclose(rewards, contract.task.reward(info["state"], info["command"], np.ones((4, 1))))


def test_a_rollout_is_truncated_after_its_steps_and_begins_anew():
    contract = contract_for("valve")
    env = LearnedVectorEnv(Ensemble((0.01, 0.01)), contract, rest(contract), 3, 2)
    env.reset(seed=0)
    *_, truncated, info = env.step(np.zeros((3, 9)))
    assert not truncated.any()
    assert "final_obs" not in info
    observation, _, terminated, truncated, info = env.step(np.zeros((3, 9)))
    assert truncated.all()
    assert not terminated.any()
    size = len(contract.task.state)
    assert (info["final_obs"][:, :size] == info["state"]).all()
    assert info["_final_obs"].all()
    starts = rest(contract).states
    assert all((starts == row[:size]).all(axis=1).any() for row in observation)


def test_a_lost_object_terminates_and_costs_its_steps():
    contract = contract_for("baoding")
    task = contract.task
    states = np.zeros((1, len(task.state)))
    states[0, task.state.indices(["ball_a.position.z", "ball_b.position.z"])] = task.risk_height + 0.005
    starts = Starts(states, np.zeros(1))
    held, falling = (LearnedVectorEnv(Ensemble((c, c)), contract, starts, 2, 9, lost_steps=10) for c in (0.0, -0.01))
    held.reset(seed=0), falling.reset(seed=0)
    _, fine, kept, _, _ = held.step(np.zeros((2, 24)))
    _, bad, lost, cut, _ = falling.step(np.zeros((2, 24)))
    assert not kept.any()
    assert lost.all()
    assert not cut.any()  # a lost object is no time limit
    assert (bad < fine - 9.9 * task.drop_cost).all()


def test_one_seed_reproduces_everything():
    contract = contract_for("baoding")
    starts = rest(contract)

    def run():
        env = LearnedVectorEnv(Ensemble((0.0, 0.2)), contract, starts, 3, 4)
        rows = [env.reset(seed=9)[0]]
        rng = np.random.default_rng(0)
        for _ in range(9):
            rows.append(env.step(rng.uniform(-1, 1, (3, 24)))[0])
        return np.array(rows), env.member.copy()

    (one, members), (two, others) = run(), run()
    assert (one == two).all()
    assert (members == others).all()


def test_commands_keep_limits_rate_and_jump():
    contract = contract_for("valve")
    action = contract.action
    env = LearnedVectorEnv(Ensemble((0.0, 0.0)), contract, rest(contract), 5, 50)
    env.reset(seed=0)
    rng, before = np.random.default_rng(0), np.tile(action.neutral, (5, 1))
    reach = action.max_rate * action.period
    for _ in range(5):
        *_, info = env.step(rng.uniform(-3, 3, (5, 9)))
        command = info["command"]
        assert ((command >= action.lower) & (command <= action.upper)).all()
        assert (np.abs(command - action.neutral) <= reach + 1e-6).all()  # the joints do not move here
        assert (np.abs(command - before) <= 2 * reach + 1e-6).all()
        before = command


def test_what_is_wrong_is_said():
    contract = contract_for("valve")
    starts = rest(contract)
    env = LearnedVectorEnv(Ensemble(), contract, starts, 2, 3)
    with pytest.raises(MbrlError, match="reset first"):
        env.step(np.zeros((2, 9)))
    env.reset(seed=0)
    for actions in (np.zeros((3, 9)), np.full((2, 9), np.nan)):
        with pytest.raises(MbrlError, match="expected finite actions"):
            env.step(actions)
    with pytest.raises(MbrlError, match="one seed"):
        env.reset(seed=[1, 2])
    broken = LearnedVectorEnv(Ensemble(broken=True), contract, starts, 2, 3)
    broken.reset(seed=0)
    with pytest.raises(MbrlError, match="not finite"):
        broken.step(np.zeros((2, 9)))
    with pytest.raises(MbrlError, match="at least 1"):
        LearnedVectorEnv(Ensemble(), contract, starts, 0, 3)
    for states in (np.zeros((0, 20)), np.zeros(20), np.full((1, 20), np.inf)):
        with pytest.raises(MbrlError, match="starts"):
            Starts(states, np.zeros(len(states)))
    with pytest.raises(MbrlError, match="not 20"):
        LearnedVectorEnv(Ensemble(), contract, Starts(np.zeros((1, 3)), np.zeros(1)), 2, 3)
