# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The agent of Stable-Baselines3: reproducible, saved without pickle, and what its batches are made of."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="needs the extra policy")
pytest.importorskip("onnx")
from mbrl_controller.base.errors import DatasetError, ModelError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.actor_input import ActorInput
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.rollouts.env_spaces import action_box, observation_box
from mbrl_controller.training.sac import Agent
from mbrl_controller.training.sac_config import SacConfig, rollout_steps
from mbrl_controller.training.sac_data import GoalSampling, real_rows, starts_of

CONFIG = SacConfig(hidden=(8, 8), batch=16, learning_starts=20, real_fraction=0.25)
VALVE = contract_for("valve")
OBSERVATION = 22


class Line(gymnasium.Env):
    """Episodes of 7 steps; a reset's seed decides the start."""

    observation_space, action_space = observation_box(VALVE, (1, 5)), action_box(VALVE)

    def reset(self, *, seed=None, options=None):
        self.state, self.left = np.random.default_rng(seed).normal(size=OBSERVATION), 7
        return self.state, {}

    def step(self, action):
        self.state = self.state + np.resize(action, OBSERVATION)
        self.left -= 1
        return self.state, float(-np.abs(self.state).sum()), False, self.left == 0, {}


def agent(env=None, config=CONFIG, seed=0, places=64):
    rng = np.random.default_rng(1)
    spec = HeadSpec.of("policy", VALVE.task, VALVE.file.robot, VALVE.action, (1, 5), config.hidden)
    inputs = ActorInput(spec, rng.normal(size=(40, 20)), rng.normal(size=(40, 2, 1)))
    return Agent(inputs, config, seed, env, places)


def some_rows(agent, count, mark=0.0):
    rng = np.random.default_rng(count)
    rewards = np.full(count, mark) + np.arange(count) * (not mark)
    before, after = rng.normal(size=(2, count, OBSERVATION))
    return agent.rows(before, after, rng.uniform(-1, 1, (count, 9)), rewards, np.zeros(count, dtype=bool))


def weights(agent):
    return [np.concatenate([w.ravel(), b]) for w, b in agent.layers()]


def same(one, two):
    return all((a == b).all() for a, b in zip(weights(one), weights(two), strict=True))


def test_the_exported_layers_act_as_the_agent_does():
    made = agent()
    observation = np.random.default_rng(0).normal(size=(5, OBSERVATION))
    features = made.inputs(observation[:, :20], observation[:, 20:].reshape(5, 2, 1))
    for weight, bias in made.layers()[:-1]:
        features = np.maximum(features @ weight.T + bias, 0)
    weight, bias = made.layers()[-1]
    assert np.allclose(made.act(observation), np.tanh(features @ weight.T + bias), atol=1e-5)
    assert (made.act(observation, explore=True) != made.act(observation)).any()


def test_old_rows_make_room_for_new_ones():
    made = agent(places=10)
    made.take(some_rows(made, 8))
    assert made.buffer.size() == 8
    made.take(some_rows(made, 4))
    assert made.buffer.size() == 10
    assert made.buffer.rewards[:, 0] == pytest.approx([0.2, 0.3, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.0, 0.1])
    made.take(some_rows(made, 23))  # more than there are places
    assert sorted(made.buffer.rewards[:, 0]) == pytest.approx([0.1 * i for i in range(13, 23)])


def test_each_batch_has_its_share_of_real_rows():
    made = agent()
    made.take(some_rows(made, 30))
    assert (made.buffer.sample(16).rewards.numpy() >= 0).all()
    made.give_real(some_rows(made, 5, mark=-1.0))
    for _ in range(20):
        rewards = made.buffer.sample(16).rewards.numpy()
        assert (rewards < 0).sum() == 4


def test_model_made_training_reproduces_and_goes_on_from_a_checkpoint(tmp_path):
    def begun():
        made = agent(seed=3)
        made.give_real(some_rows(made, 20))
        return made

    def round_of(made):
        made.take(some_rows(made, 9 + made.updates))
        made.act(np.zeros((4, OBSERVATION)), explore=True)
        made.update(3)

    whole = begun()
    for _ in range(4):
        round_of(whole)
    part = begun()
    for _ in range(2):
        round_of(part)
    part.save(tmp_path / "state.npz", {"elapsed": 1.5})
    later = begun()
    later.act(np.zeros((7, OBSERVATION)), explore=True)  # other random numbers were drawn meanwhile
    assert later.restore(tmp_path / "state.npz") == {"elapsed": 1.5}
    for _ in range(2):
        round_of(later)
    assert later.updates == whole.updates == 12
    assert same(later, whole)
    assert not same(begun(), whole)


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [14, 35])  # in the random actions at the beginning, and after updates
def test_learning_in_an_environment_goes_on_from_a_checkpoint_as_if_never_stopped(tmp_path, at):
    whole = agent(Line(), places=100)
    seen = []
    whole.learn(60, seen.append)
    assert seen == [7, 14, 21, 28, 35, 42, 49, 56]

    def until(made):
        def between(steps):
            if steps == at:
                made.save(tmp_path / "state.npz", {})
                raise _KilledError

        return between

    part = agent(Line(), places=100)
    with pytest.raises(_KilledError):
        part.learn(60, until(part))
    later = agent(Line(), places=100)
    later.restore(tmp_path / "state.npz")
    later.learn(60, lambda steps: None)
    assert later.sac.num_timesteps == 60
    assert same(later, whole)
    assert (later.buffer.observations[:60] == whole.buffer.observations[:60]).all()


def test_the_state_of_another_agent_or_a_damaged_one_is_refused(tmp_path):
    made, path = agent(), tmp_path / "state.npz"
    made.save(path, {})
    with pytest.raises(ModelError, match="not the state of this training"):
        agent(config=SacConfig(hidden=(4,))).restore(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="damaged"):
        made.restore(path)
    with pytest.raises(ModelError, match="no such file"):
        made.restore(tmp_path / "none")


def data(steps, key_steps=None):
    rng, count = np.random.default_rng(0), len(steps)
    states = rng.normal(size=(count, 20))
    episode = np.cumsum(np.diff([1, *steps]) < 0)
    keys = tuple(f"e{i}" for i in range(episode.max() + 1))
    return TransitionSet(states, rng.uniform(-0.2, 0.2, (count, 9)), states + 0.01, episode, np.array(steps), keys)


def test_rollouts_begin_at_starts_or_anywhere():
    rows = data([0, 1, 2, 0, 1])
    assert (starts_of(rows, VALVE, True).states == rows.state[[0, 3]]).all()
    everywhere = starts_of(rows, VALVE, False)
    assert len(everywhere.states) == 5
    assert np.allclose(everywhere.times, [0, 0.1, 0.2, 0, 0.1])
    assert starts_of(data([45]), VALVE, False).times == pytest.approx(0.5)  # an episode lasts 4 s
    with pytest.raises(DatasetError, match="scheme C"):
        starts_of(data([3, 4]), VALVE, True)


def test_logged_rows_are_seen_under_goals_drawn_anew():
    rows = data([0, 1, 2])
    goals = GoalSampling(VALVE, {}, (1, 5), 0.0)
    real = real_rows(rows, goals, 3, 20, np.random.default_rng(0))
    assert real.before.shape == real.after.shape == (9, OBSERVATION)
    assert (real.before[:, :20] == np.repeat(rows.state, 3, axis=0)).all()
    assert len(set(real.before[:, 20])) == 9  # each its own goal
    assert (real.before[:, 20] == real.after[:, 20]).all()  # a valve's does not move
    wanted = real.before[:, 20:21]
    assert np.allclose(real.rewards, VALVE.task.reward(real.after[:, :20], real.actions, wanted))
    assert np.allclose(VALVE.action.to_target(real.actions), np.repeat(rows.action, 3, axis=0))
    assert not real.ends.any()


def test_the_scheme_decides_how_long_a_rollout_is():
    config = SacConfig()
    assert [rollout_steps(config, scheme, 40) for scheme in "ABC"] == [40, 10, 5]
    assert rollout_steps(SacConfig(rollout_steps=3), "A", 40) == 3
    assert rollout_steps(config, "B", 6) == 6
