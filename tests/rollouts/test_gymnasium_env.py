# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The Gymnasium environments: what the checker asks, and the same episodes as those of evaluation."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest

pytest.importorskip("mujoco")
from gymnasium.utils.env_checker import check_env

from mbrl_controller.base.errors import GoalError, MbrlError
from mbrl_controller.rollouts import environments
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.env_spaces import check_goal_steps
from mbrl_controller.rollouts.episode import EpisodeRunner, run_episode
from mbrl_controller.rollouts.gymnasium_env import HandGymEnv

IDS = environments.register_environments()


class Playback:
    """Sends given commands."""

    def __init__(self, commands):
        self.commands = commands

    def reset(self, seed, observation):
        self.left = iter(self.commands)

    def act(self, observation, goal, episode_time):
        return next(self.left), None


def played(env, seed, steps=None, rng=None):
    """Observations, rewards, infos and the last flags of an episode of random actions."""
    rng = rng or np.random.default_rng(seed)
    observation, first = env.reset(seed=seed)
    seen, rewards, infos, ended = [observation], [], [first], (False, False)
    while not any(ended) and len(rewards) != steps:
        observation, reward, *ended, info = env.step(rng.uniform(-1, 1, env.action_space.shape))
        seen.append(observation)
        rewards.append(reward)
        infos.append(info)
    return np.array(seen), np.array(rewards), infos, tuple(ended)


@pytest.mark.parametrize("name", IDS)
def test_the_checker_of_gymnasium_passes(name):
    env = gymnasium.make(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The only remark there may be: what has no limits in a contract has none in the space.
        warnings.filterwarnings("ignore", message=".*Box observation space m(in|ax)imum value is -?infinity.*")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_each_task_with_a_world_has_an_environment_and_no_other():
    assert "mbrl_controller/Baoding-v0" in IDS
    assert "mbrl_controller/Valve-v0" in IDS
    assert "mbrl_controller/Reach-v0" not in IDS  # its hand has no world
    assert environments.environment_id("leap_cube") == "mbrl_controller/LeapCube-v0"


def test_registering_loads_no_physics_and_one_line_makes_an_environment():
    code = (
        "import sys, gymnasium, mbrl_controller.rollouts.environments; "
        "assert not {'mujoco', 'torch', 'onnxruntime'} & set(sys.modules); "
        "print(gymnasium.make('mbrl_controller.rollouts.environments:mbrl_controller/Valve-v0').action_space)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "Box(-1.0, 1.0, (9,), float32)", done.stderr


@pytest.mark.parametrize("sim", ["nominal", "perturbed"])
def test_an_episode_is_bitwise_that_of_evaluation_under_the_same_commands(sim):
    env = HandGymEnv("valve", sim=sim)
    seen, rewards, infos, ended = played(env, seed=5)
    runner = EpisodeRunner(resolve(RolloutConfig("valve", policy="hold", sim=sim)).spec)
    goal = env.task_spec.sample_goal(np.random.default_rng(np.random.SeedSequence([5, 2])))
    commands = [info["command"] for info in infos[1:]]
    same = run_episode(runner.hand, Playback(commands), goal, 5, env.task_spec.episode_s)
    size = len(env.task_spec.state)
    assert (seen[:, :size] == same.observed).all()
    assert (np.array([info["state"] for info in infos]) == same.states).all()
    assert (seen[:-1, size] == same.goals[1:, 0]).all()  # seen one step ahead
    assert ended == (False, True)
    assert len(rewards) == len(same.commands) == 40
    assert rewards.sum() == pytest.approx(same.metrics.episode_return)
    assert infos[-1]["metrics"]["episode_return"] == same.metrics.episode_return
    assert infos[-1]["metrics"]["degrees_turned"] == same.metrics.values["degrees_turned"]
    assert all("metrics" not in info for info in infos[:-1])


def test_the_start_and_the_goal_are_those_of_the_seed_in_evaluation():
    env = HandGymEnv("baoding")
    same = EpisodeRunner(resolve(RolloutConfig("baoding", policy="hold", seconds=0.1)).spec).run(11)
    _, _, infos, _ = played(env, seed=11, steps=1)
    assert (infos[0]["state"] == same.states[0]).all()
    assert (env._goals[0] == same.goals[0]).all()


def test_a_seed_reproduces_an_episode_and_the_next_ones():
    def three(env):
        first = played(env, seed=3, steps=5)[0]
        second = env.reset()[0]  # drawn from the seed
        return first, second, env.reset()[0]

    once, again = three(HandGymEnv("valve")), three(HandGymEnv("valve"))
    assert all((a == b).all() for a, b in zip(once, again, strict=True))
    assert (once[1] != once[2]).any()


def test_a_drop_terminates_and_costs_what_the_episode_still_had():
    env = HandGymEnv("baoding")
    _, rewards, infos, ended = played(env, seed=0)
    metrics = infos[-1]["metrics"]
    assert ended == (True, False)
    assert metrics["dropped"]
    assert not metrics["goal_reached"]
    assert rewards.sum() == pytest.approx(metrics["episode_return"])
    assert rewards[-1] < -500 * (100 - len(rewards))
    few = HandGymEnv("baoding", lost_steps=20)
    assert played(few, seed=0)[1][-1] == pytest.approx(rewards[-1] + 500 * (101 - len(rewards) - 20))


def test_time_truncates_and_then_nothing_goes_on_without_a_reset():
    env = HandGymEnv("valve", seconds=0.3)
    with pytest.raises(MbrlError, match="call reset first"):
        env.step(np.zeros(9))
    _, rewards, _, ended = played(env, seed=0)
    assert (len(rewards), ended) == (3, (False, True))
    with pytest.raises(MbrlError, match="call reset first"):
        env.step(np.zeros(9))


def test_commands_keep_the_limits_whatever_is_asked():
    env = HandGymEnv("valve")
    action, size = env.contract.action, len(env.task_spec.state)
    joints, reach = env.task_spec.joint_positions, env.contract.action.max_rate * env.contract.action.period
    seen, _, infos, _ = played(env, seed=1)
    assert env.observation_space.contains(seen[-1])
    for before, info in zip(seen[:-1], infos[1:], strict=True):
        command = info["command"]
        assert ((command >= action.lower) & (command <= action.upper)).all()
        assert (np.abs(command - before[:size][joints]) <= reach + 1e-9).all()


def test_an_action_beyond_the_space_is_clipped_and_a_broken_one_refused():
    one, two = HandGymEnv("valve"), HandGymEnv("valve")
    one.reset(seed=0), two.reset(seed=0)
    assert (one.step(np.full(9, 7.0))[0] == two.step(np.ones(9))[0]).all()
    for broken in (np.full(9, np.nan), np.zeros(8), np.zeros((1, 9))):
        with pytest.raises(MbrlError, match="an action has 9 finite entries"):
            one.step(broken)


def test_a_goal_can_be_fixed_for_all_episodes_or_for_one():
    env = HandGymEnv("valve", goal_options={"angle": 1.0})
    size = len(env.task_spec.state)
    assert env.reset(seed=0)[0][size] == 1.0
    assert env.reset(seed=0, options={"angle": -2.0})[0][size] == -2.0
    with pytest.raises(GoalError, match="unknown goal options"):
        env.reset(options={"height": 1})


def test_targets_wait_for_the_objects_only_where_the_controllers_options_say_so():
    waiting = HandGymEnv("baoding", goal_steps=(1, 30), max_goal_lead=0.2)
    clock = HandGymEnv("baoding", goal_steps=(1, 30), max_goal_lead=0.0)
    size = len(waiting.task_spec.state)
    a, b = played(waiting, seed=0, steps=6)[0], played(clock, seed=0, steps=6)[0]
    assert (a[:, :size] == b[:, :size]).all()  # the hand cannot know
    later = np.array([clock._goal.at(np.array(0.1 * (k + 30))) for k in range(7)])
    assert np.allclose(b[:, size + 4 :], later)
    assert not np.allclose(a[-1, size:], b[-1, size:])


@pytest.mark.parametrize("steps", [(), (0,), (51,), (3, 3), (5, 1)])
def test_goal_steps_must_ascend_within_reach(steps):
    with pytest.raises(MbrlError, match="goal_steps"):
        check_goal_steps(steps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"render_mode": "human"}, "render_mode"),
        ({"lost_steps": -1}, "lost_steps"),
        ({"sim": "dream"}, "dream"),
        ({"seconds": -1.0}, "seconds"),
        ({"max_goal_lead": 9.0}, "max_goal_lead"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MbrlError, match=message):
        HandGymEnv("valve", **options)


def test_a_task_without_a_world_says_so():
    with pytest.raises(MbrlError, match="no simulated world"):
        HandGymEnv("reach")


def test_a_picture_of_an_episode():
    env = HandGymEnv("valve", render_mode="rgb_array", width=64, height=48)
    with pytest.raises(MbrlError, match="call reset first"):
        env.render()
    env.reset(seed=0)
    if not os.environ.get("MUJOCO_GL"):
        pytest.skip("without MUJOCO_GL=egl or osmesa there may be no screen to draw on")
    picture = env.render()
    assert picture.shape == (48, 64, 3)
    assert picture.std() > 0
    env.close()


def test_nothing_is_rendered_unless_it_was_asked_for():
    assert HandGymEnv("valve").render() is None
