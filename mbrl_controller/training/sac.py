# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An agent of Stable-Baselines3 (SAC): learns from an environment or from given transitions; saved without pickle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from mbrl_controller.dynamics.actor_input import ActorInput, Float32, Layer
from mbrl_controller.dynamics.agent_state import AgentState, layers_of
from mbrl_controller.dynamics.head_network import INPUT_CLAMP
from mbrl_controller.tasks.spaces import Array, Mask
from mbrl_controller.training.sac_config import SacConfig

Rows = tuple[Float32, Float32, Float32, Float32, Float32]  # features, next features, actions, rewards [N], ends [N]
NEVER = 10**9  # episodes
FIELDS = ("observations", "next_observations", "actions", "rewards", "dones")


class SplitObservation:
    """An environment's observation [..., O] as an actor's features [..., F]."""

    def __init__(self, inputs: ActorInput) -> None:
        self.inputs = inputs

    def __call__(self, observation: Array) -> Float32:
        spec, values = self.inputs.spec, np.asarray(observation)
        size = len(spec.state_names)
        goals = np.reshape(values[..., size:], (*values.shape[:-1], len(spec.goal_steps), len(spec.goal_names)))
        return self.inputs(values[..., :size], goals)


class AgentEnv(gymnasium.Env[Any, Any]):
    """The spaces of an agent and, if it acts in one, its environment: features in, rewards scaled, episodes numbered.

    Episode n of a seed is always the same, so that a run that was killed goes on with the episode that comes next.
    """

    def __init__(self, inputs: ActorInput, env: gymnasium.Env[Any, Any] | None, scale: float, seed: int) -> None:
        self.observation_space = spaces.Box(-INPUT_CLAMP, INPUT_CLAMP, (inputs.size,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (len(inputs.spec.action_names),), np.float32)
        self.episode = 0  # the one that the next reset begins
        self._split, self._env, self._scale, self._seed = SplitObservation(inputs), env, scale, seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode; `seed` is not asked."""
        super().reset(seed=seed)
        if self._env is None:
            return np.zeros(self.observation_space.shape or (), np.float32), {}
        chosen = int(np.random.SeedSequence([self._seed, self.episode]).generate_state(1)[0])
        self.episode += 1
        return self._split(self._env.reset(seed=chosen)[0]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step of the environment."""
        if self._env is None:
            raise RuntimeError("there is no environment to act in")
        observation, reward, terminated, truncated, info = self._env.step(action)
        return self._split(observation), self._scale * float(reward), terminated, truncated, info


class MixedBuffer(ReplayBuffer):
    """Model-made transitions, of which the oldest are forgotten, and real ones, in a given share of each batch."""

    real: Rows | None = None
    real_fraction = 0.0
    rng = np.random.default_rng(0)

    def add_rows(self, rows: Rows) -> None:
        """Take transitions [N]; where there are more than places, the last."""
        count = len(rows[0])
        at = (self.pos + np.arange(count)) % self.buffer_size
        for name, values in zip(FIELDS, rows, strict=True):
            own = getattr(self, name)[:, 0]
            own[at] = np.reshape(values, (count, *own.shape[1:]))
        self.full = self.full or self.pos + count >= self.buffer_size
        self.pos = int((self.pos + count) % self.buffer_size)

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """A batch, the real ones last."""
        real = 0 if self.real is None else round(self.real_fraction * batch_size)
        made = self.rng.integers(self.size(), size=batch_size - real)
        parts = [[getattr(self, name)[made, 0] for name in FIELDS]]
        if self.real is not None and real:
            chosen = self.rng.integers(len(self.real[0]), size=real)
            parts.append([values[chosen] for values in self.real])
        before, after, action, reward, end = (np.concatenate(column) for column in zip(*parts, strict=True))
        columns = (before, action, after, end.reshape(-1, 1), reward.reshape(-1, 1))
        return ReplayBufferSamples(*(self.to_torch(column) for column in columns))


class Agent:
    """SAC for one task, in an environment of its own (`env`) or on rows that it is given (None)."""

    def __init__(
        self, inputs: ActorInput, config: SacConfig, seed: int, env: gymnasium.Env[Any, Any] | None, places: int
    ) -> None:
        """
        Args:
            inputs: scaling of what it sees.
            config: options.
            seed: of networks, exploration, batches and episodes.
            env: of what it acts in; None: it is given rows.
            places: transitions that it keeps.
        """
        self.inputs, self.config = inputs, config
        self.env = AgentEnv(inputs, env, config.reward_scale, seed)
        self._split = SplitObservation(inputs)
        self.sac = SAC(
            "MlpPolicy",
            self.env,
            learning_rate=config.learning_rate,
            buffer_size=places,
            learning_starts=config.learning_starts,
            batch_size=config.batch,
            tau=config.tau,
            gamma=config.discount,
            policy_kwargs={"net_arch": list(config.hidden)},
            replay_buffer_class=ReplayBuffer if env is not None else MixedBuffer,
            seed=seed,
            device="cpu",
        )
        self.sac.set_logger(configure(None, []))
        if isinstance(self.buffer, MixedBuffer):
            self.buffer.rng = np.random.default_rng(seed)
            self.buffer.real_fraction = config.real_fraction

    @property
    def buffer(self) -> ReplayBuffer:
        """What it has seen."""
        assert self.sac.replay_buffer is not None
        return self.sac.replay_buffer

    @property
    def updates(self) -> int:
        """Updates so far."""
        return int(self.sac._n_updates)

    def act(self, observation: Array, explore: bool = False) -> NDArray[np.float32]:
        """Actions [..., A] for observations [..., O]: the mean, or a sample."""
        actions: NDArray[np.float32] = self.sac.predict(self._split(observation), deterministic=not explore)[0]
        return actions

    def rows(self, before: Array, after: Array, actions: Array, rewards: Array, ends: Mask) -> Rows:
        """Transitions as it stores them, of observations [N, O], actions [N, A], rewards [N] and real ends [N]."""
        return (
            self._split(before),
            self._split(after),
            np.asarray(actions, dtype=np.float32),
            (self.config.reward_scale * rewards).astype(np.float32),
            np.asarray(ends, dtype=np.float32),
        )

    def take(self, rows: Rows) -> None:
        """Keep model-made transitions."""
        assert isinstance(self.buffer, MixedBuffer)
        self.buffer.add_rows(rows)

    def give_real(self, rows: Rows) -> None:
        """Real transitions, of which each batch has a share."""
        assert isinstance(self.buffer, MixedBuffer)
        self.buffer.real = rows

    def update(self, count: int) -> None:
        """Update actor and critics so many times from what it has been given."""
        self.sac.train(count, self.config.batch)

    def learn(self, env_steps: int, between_episodes: Callable[[int], None]) -> None:
        """Act and learn until it has made `env_steps`.

        `between_episodes` is called with the steps so far whenever an episode has ended and been learnt from; what it
        raises ends the learning.
        """
        left = env_steps - self.sac.num_timesteps
        if left > 0:
            self.sac.learn(left, _BetweenEpisodes(between_episodes), log_interval=NEVER, reset_num_timesteps=False)

    def layers(self) -> list[Layer]:
        """The actor's layers, from features to the mean action before its tanh."""
        return [*layers_of(self.sac.actor.latent_pi), *layers_of(self.sac.actor.mu)]

    def save(self, path: Path, note: dict[str, Any]) -> None:
        """Write all that decides how it goes on, and a note. Between episodes only."""
        kept, buffer = self.buffer.size(), self.buffer
        arrays = {name: getattr(buffer, name)[:kept] for name in (*FIELDS, "timeouts")}
        own = {
            "position": buffer.pos,
            "full": buffer.full,
            "env_steps": self.sac.num_timesteps,
            "updates": self.updates,
            "episode": self.env.episode,
            "actions": self.sac.action_space.np_random.bit_generator.state,
            "batches": buffer.rng.bit_generator.state if isinstance(buffer, MixedBuffer) else None,
        }
        self._state().save(path, arrays, {"agent": own, "note": note})

    def restore(self, path: Path) -> dict[str, Any]:
        """Go on from what `save` wrote; returns its note. Raises ModelError for the state of another agent."""
        arrays, note = self._state().restore(path)
        own, buffer = note["agent"], self.buffer
        for name, values in arrays.items():
            getattr(buffer, name)[: len(values)] = values
        buffer.pos, buffer.full = own["position"], own["full"]
        self.sac.num_timesteps, self.sac._n_updates = own["env_steps"], own["updates"]
        # The episode that was to come had begun already where the agent acts.
        self.env.episode = max(0, own["episode"] - 1)
        self.sac.action_space.np_random.bit_generator.state = own["actions"]
        if isinstance(buffer, MixedBuffer):
            buffer.rng.bit_generator.state = own["batches"]
        return dict(note["note"])

    def _state(self) -> AgentState:
        sac = self.sac
        assert sac.log_ent_coef is not None
        assert sac.ent_coef_optimizer is not None
        return AgentState(
            modules={"actor": sac.actor, "critic": sac.critic, "target": sac.critic_target},
            optimisers={
                "actor": sac.actor.optimizer,
                "critic": sac.critic.optimizer,
                "entropy": sac.ent_coef_optimizer,
            },
            tensors={"entropy": sac.log_ent_coef},
        )


class _BetweenEpisodes(BaseCallback):
    """Calls a function where an episode has ended, been stored and been learnt from."""

    def __init__(self, function: Callable[[int], None]) -> None:
        super().__init__()
        self._function, self._ended = function, False

    def _on_step(self) -> bool:
        self._ended = bool(self.locals["dones"].any())
        return True

    def _on_rollout_start(self) -> None:
        if self._ended:
            self._ended = False
            self._function(self.num_timesteps)
