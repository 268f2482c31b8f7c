# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where a policy's transitions come from: the simulated world, or rollouts in a learned model; and what judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mbrl_controller.base.cache_folder import cache_dir
from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.learning.config import EVALUATION_SEEDS
from mbrl_controller.learning.policy_plan import PolicyPlan
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.loading import load_ensemble
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.random_motion import RandomMotion
from mbrl_controller.simulation.scene_paths import scene_path
from mbrl_controller.tasks.metrics import EpisodeMetrics, figures
from mbrl_controller.tasks.spaces import Array

if TYPE_CHECKING:
    from mbrl_controller.rollouts.gymnasium_env import HandGymEnv
    from mbrl_controller.training.sac import Agent
    from mbrl_controller.training.sac_data import GoalSampling

SCALING_SEEDS = 400_000  # of the random motion by which the input is scaled


def lost_steps(plan: PolicyPlan) -> int:
    """How many steps' drop_cost a drop costs: as many as a discounted future has."""
    return round(1 / (1 - plan.config.discount))


def goal_sampling(plan: PolicyPlan, contract: RobotContract) -> GoalSampling:
    """Which goals the policy is to reach."""
    from mbrl_controller.training.sac_data import GoalSampling

    return GoalSampling(contract, plan.goal_options, plan.config.goal_steps, plan.max_goal_lead)


def head_spec(plan: PolicyPlan, contract: RobotContract) -> HeadSpec:
    """The policy file's description, without its version."""
    task, config = contract.task, plan.config
    return HeadSpec.of("policy", task, contract.file.robot, contract.action, config.goal_steps, config.hidden)


def environment(plan: PolicyPlan, contract: RobotContract, **more: Any) -> HandGymEnv:
    """The simulated world of a run."""
    from mbrl_controller.rollouts.gymnasium_env import HandGymEnv

    return HandGymEnv(
        plan.task,
        contract=contract,
        sim=plan.sim,
        sim_options=plan.sim_options,
        goal_options=plan.goal_options,
        max_goal_lead=plan.max_goal_lead,
        goal_steps=plan.config.goal_steps,
        **more,
    )


class SimSource:
    """An agent that acts in the simulated world; control steps count."""

    def __init__(self, plan: PolicyPlan, contract: RobotContract) -> None:
        from mbrl_controller.dynamics.actor_input import ActorInput
        from mbrl_controller.training.sac import Agent

        config = plan.config
        env = environment(plan, contract, lost_steps=lost_steps(plan))
        states = _random_motion(env, config.scaling_episodes)
        self._scaling_steps = len(states)
        goals = goal_sampling(plan, contract).seen(states, plan.seed)
        inputs = ActorInput(head_spec(plan, contract), states, goals)
        self.agent: Agent = Agent(inputs, config, plan.seed, env, places=min(config.env_steps, 1_000_000))
        self._amount, self.world = config.env_steps, env.world

    @property
    def done(self) -> int:
        """Control steps so far."""
        return int(self.agent.sac.num_timesteps)

    @property
    def points(self) -> int:
        """Control steps of experience so far, with those of the input's scaling."""
        return self.done + self._scaling_steps

    def learn(self, between: Callable[[int], None]) -> None:
        """To the end; calls `between` after each episode."""
        self.agent.learn(self._amount, between)


class ModelSource:
    """An agent that learns from rollouts in a learned model, and from the log; updates count."""

    def __init__(self, plan: PolicyPlan, contract: RobotContract) -> None:
        from mbrl_controller.dynamics.actor_input import ActorInput
        from mbrl_controller.rollouts.model_env import LearnedVectorEnv
        from mbrl_controller.training.dataset import load_dataset
        from mbrl_controller.training.sac import Agent
        from mbrl_controller.training.sac_config import rollout_steps
        from mbrl_controller.training.sac_data import real_rows, starts_of

        config, action = plan.config, contract.action
        data = load_dataset([Path(file) for file in plan.files], contract, mix=plan.mix, cache=cache_dir()).data
        version = Registry(plan.models_dir).resolve(plan.task, plan.version)
        file = ModelFile.read(version.model, plan.model_sha256, links=version.shipped)
        ensemble = load_ensemble(file, task=contract.task, action=action, threads=1)
        goals, lost = goal_sampling(plan, contract), lost_steps(plan)
        inputs = ActorInput(head_spec(plan, contract), data.state, goals.seen(data.state, plan.seed))
        self.agent: Agent = Agent(inputs, config, plan.seed, None, places=config.capacity)
        if config.real_fraction:
            rng = np.random.default_rng(np.random.SeedSequence([plan.seed, 1]))
            real = real_rows(data, goals, config.goals_per_transition, lost, rng)
            self.agent.give_real(self.agent.rows(real.before, real.after, real.actions, real.rewards, real.ends))
        steps = rollout_steps(config, plan.scheme, round(contract.task.episode_s / action.period))
        self._env = LearnedVectorEnv(
            ensemble,
            contract,
            starts_of(data, contract, from_start=plan.scheme in ("A", "B")),
            config.rollouts,
            steps,
            goal_options=plan.goal_options,
            goal_steps=config.goal_steps,
            max_goal_lead=plan.max_goal_lead,
            lost_steps=lost,
        )
        self._config, self._seed = config, plan.seed
        self.points = max(len(data), plan.transitions)

    @property
    def done(self) -> int:
        """Updates so far."""
        return self.agent.updates

    def learn(self, between: Callable[[int], None]) -> None:
        """To the end; calls `between` after each round of rollouts and updates."""
        config = self._config
        updates = max(1, round(config.updates_per_step * config.rollouts * self._env.steps))
        while self.done < config.updates:
            self._roll_out()
            self.agent.update(min(updates, config.updates - self.done))
            between(self.done)

    def _roll_out(self) -> None:
        """A round of rollouts; begun anew each time, so that a run that was killed can go on between two."""
        seed = int(np.random.SeedSequence([self._seed, self.done]).generate_state(1)[0])
        observation, _ = self._env.reset(seed=seed)
        for _ in range(self._env.steps):
            actions = self.agent.act(observation, explore=True)
            following, rewards, ends, _, info = self._env.step(actions)
            after = info.get("final_obs", following)
            self.agent.take(self.agent.rows(observation, after, actions, rewards, ends))
            observation = following


def _random_motion(env: HandGymEnv, episodes: int) -> Array:
    """States [N, S] of random motion."""
    states: list[Array] = []
    size = len(env.contract.task.state)
    for seed in range(SCALING_SEEDS, SCALING_SEEDS + episodes):
        motion, ended = RandomMotion(len(env.contract.action), seed), False
        env.reset(seed=seed)
        while not ended:
            observation, _, terminated, truncated, _ = env.step(motion())
            ended = terminated or truncated
            states.append(observation[:size])
    return np.array(states)


@dataclass(frozen=True)
class Judge:
    """Judges an agent's mean action in the simulated world, on the seeds of a learning run's evaluation."""

    env: HandGymEnv
    episodes: int

    @property
    def world(self) -> str:
        """Which world that is."""
        return self.env.world

    def __call__(self, agent: Agent) -> dict[str, Any]:
        """Figures of the episodes by key, as in a log's row."""
        found: list[EpisodeMetrics] = []
        for seed in range(EVALUATION_SEEDS, EVALUATION_SEEDS + self.episodes):
            (observation, _), ended = self.env.reset(seed=seed), False
            while not ended:
                observation, _, terminated, truncated, _ = self.env.step(agent.act(observation))
                ended = terminated or truncated
            assert self.env.metrics is not None
            found.append(self.env.metrics)
        return {
            "episodes": len(found),
            "kept_rate": float(np.mean([not m.dropped for m in found])),
            "goal_rate": float(np.mean([m.goal_reached for m in found])),
            "return_mean": float(np.mean([m.episode_return for m in found])),
            **figures(self.env.task_spec.metric_specs, found),
        }


def judge(plan: PolicyPlan, contract: RobotContract) -> Judge | None:
    """What judges the run's policy; None where no simulated world is known, or no evaluation is wanted."""
    try:
        scene_path(contract)
    except ContractError:
        return None
    episodes = plan.config.evaluate_episodes
    return Judge(environment(plan, contract), episodes) if episodes else None
