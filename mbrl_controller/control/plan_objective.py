# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a plan is weighed by: the model's rollouts, and the task's reward or the version's heads as options say."""

from __future__ import annotations

from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.heads import UsedHeads
from mbrl_controller.control.network_count import CountedModel, CountedReward, CountedValue, NetworkCount
from mbrl_controller.control.steps import ControlModel
from mbrl_controller.planning.objective import RolloutObjective
from mbrl_controller.planning.proposals import Candidates
from mbrl_controller.planning.step_reward import PessimisticReward
from mbrl_controller.planning.terminal_value import PessimisticValue
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array


def plan_objective(
    model: ControlModel,
    heads: UsedHeads,
    config: ControllerConfig,
    count: NetworkCount,
    *,
    task: Task,
    action: ActionSpace,
    state: Array,
    goals: Array,
    horizon: int,
    proposals: Candidates | None,
) -> RolloutObjective:
    """The objective of one control step, for the controller and for whoever plans as it does.

    Args:
        model: predicts.
        heads: that are used.
        config: risk, cost of a drop and the heads' pessimism.
        count: of network evaluations, to which those of model, value and reward are added.
        task: reward and drop rule.
        action: what normalised actions mean.
        state: [S] that the plan starts from.
        goals: [L, G], L at least `heads.rows(horizon)`; row i is the goal i + 1 control periods after the state.
        horizon: control periods of a plan.
        proposals: [K, H, A] in [-1, 1], or none.
    """
    terminal = reward = None
    if heads.value is not None:
        terminal = PessimisticValue(CountedValue(heads.value, count), goals[horizon:], config.value_pessimism)
    if heads.reward is not None:
        reward = PessimisticReward(CountedReward(heads.reward, count), config.reward_pessimism)
    return RolloutObjective(
        model=CountedModel(model, count),
        task=task,
        action=action,
        risk=config.risk,
        drop_cost=config.drop_cost,
        state=state,
        goal=goals[:horizon],
        terminal=terminal,
        scale=model.delta_scale,
        reward=reward,
        proposals=proposals,
    )
