# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a value learns: discounted returns of a policy, made by the model or seen in episodes.

Targets are Monte Carlo returns of the policy in the model, each state's in one member drawn for it, for K steps:

    V(s_0, g) = sum_{t<K} gamma^t r_t + gamma^K r_end / (1 - gamma),   r_end the mean of the last rewards.

Logged returns are those of whoever acted, noise and older versions included; the model's are this policy's, in all
states of the log, and need no simulator. From the first state at risk of a drop on, each step costs `drop_cost`, as for
the planner.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.models.heads import PolicyHead
from mbrl_controller.models.loading import LearnedEnsemble
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array, Mask

TAIL = 5  # last rewards, whose mean stands for all that follow
BATCH = 500  # states rolled out at once; a fixed number, because it decides how sums are rounded


def discounted_returns(rewards: Array, lost: Mask, discount: float, drop_cost: float) -> Array:
    """Returns [N] of rewards [N, K], the last ones going on for ever; `lost` [N, K]: after the step, at risk of a drop.

    A loss is final: from then on each step costs `drop_cost` and gives no other reward.
    """
    lost = np.maximum.accumulate(lost, axis=-1)
    paid = np.where(lost, -drop_cost, rewards)
    K = paid.shape[-1]
    end = np.where(lost[..., -1], -drop_cost, paid[..., -TAIL:].mean(-1))
    total: Array = paid @ discount ** np.arange(K) + discount**K / (1.0 - discount) * end
    return total


def model_returns(
    model: LearnedEnsemble,
    policy: PolicyHead,
    task: Task,
    action: ActionSpace,
    states: Array,
    goals: Array,
    *,
    steps: int,
    discount: float,
    drop_cost: float,
    seed: int,
) -> Array:
    """Discounted returns [N] of the policy in the model.

    Args:
        model: predicts.
        policy: acts.
        task: rewards.
        action: limits what the policy asks for, as in control.
        states: [N, S] to begin in.
        goals: [N, L, G], L at least `steps` + the policy's reach; row i is the goal i + 1 periods after the state.
        steps: control periods rolled out (K).
        discount: per control period, below 1.
        drop_cost: per control period after a loss.
        seed: of the choice of members.
    """
    member = np.random.default_rng([seed, 31]).integers(model.size, size=len(states))
    found: list[Array] = [np.zeros(0)]
    for begin in range(0, len(states), BATCH):
        rows = slice(begin, begin + BATCH)
        rewards, lost = _roll_out(model, policy, task, action, states[rows], goals[rows], member[rows], steps)
        found.append(discounted_returns(rewards, lost, discount, drop_cost))
    return np.concatenate(found)


def _roll_out(
    model: LearnedEnsemble,
    policy: PolicyHead,
    task: Task,
    action: ActionSpace,
    states: Array,
    goals: Array,
    member: NDArray[np.int64],
    steps: int,
) -> tuple[Array, Mask]:
    """Rewards and losses [N, K]."""
    state, each = np.asarray(states, dtype=float), np.arange(len(states))
    rewards, lost = np.zeros((len(states), steps)), np.zeros((len(states), steps), dtype=bool)
    reach = policy.spec.reach
    for t in range(steps):
        target = action.to_target(policy.plans(state, goals[:, t : t + reach])[:, 0].astype(float))
        target = action.limit(target, state[:, task.joint_positions])
        after = model.predict(state, target)[member, each].astype(float)
        fine = np.isfinite(after).all(-1)
        state = np.where(fine[:, None], after, state)  # a prediction that is not finite is a loss, and ends there
        rewards[:, t] = task.reward(state, target, goals[:, t])
        lost[:, t] = task.at_risk(state) | ~fine
    return rewards, lost


def episode_returns(
    task: Task, states: Array, commands: Array, goals: Array, *, steps: int, discount: float, drop_cost: float
) -> Array:
    """The same returns of the first states of an episode, as it went: [M], M = T + 1 - `steps`, at least 0.

    After a loss, with which an episode ends, each step costs `drop_cost`: M = T then.

    Args:
        task: rewards.
        states: [T+1, S].
        commands: [T, A] rad.
        goals: [T+1, G].
        steps: control periods that count before the tail (K).
        discount: per control period.
        drop_cost: per control period after a loss.
    """
    rewards = task.reward(states[1:], commands, goals[1:])
    lost = np.asarray(task.at_risk(states[1:]))
    if lost.any():
        rewards = np.concatenate([rewards, np.zeros(steps - 1)])
        lost = np.concatenate([lost, np.ones(steps - 1, dtype=bool)])
    if len(rewards) < steps:
        return np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view
    return discounted_returns(windows(rewards, steps), windows(lost, steps), discount, drop_cost)
