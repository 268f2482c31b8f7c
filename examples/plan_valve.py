# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Plan one action sequence for the valve with the current model. It needs neither ROS nor a simulator."""

import numpy as np

from mbrl_controller.control.task_config import contract_for, planner_defaults
from mbrl_controller.models.loading import load_ensemble
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.objective import RolloutObjective

contract = contract_for("valve")  # joints, limits, control period and task of the shipped hand
task, action = contract.task, contract.action
defaults = planner_defaults("valve", "pddm")  # from config/tasks.yaml
ensemble = load_ensemble(Registry().current("valve").model, task=task, action=action)
planner = make_planner("pddm", len(action), defaults.planner_options)

state = np.zeros(len(task.state))  # [S]: the hand in its neutral pose, the valve at 0 rad, all at rest
state[task.joint_positions] = action.neutral
goal = task.sample_goal(np.random.default_rng(0), angle=1.0)  # rad
times = action.period * np.arange(1, planner.config.horizon + 1)  # [H] s, the ends of the planned steps
objective = RolloutObjective(
    model=ensemble,
    task=task,
    action=action,
    risk=defaults.core.risk,
    drop_cost=defaults.core.drop_cost,
    state=state,
    goal=goal.at(times),
)
plan, following = planner.plan(objective, planner.initial_state(seed=0))  # `following` starts the next plan

targets = action.to_target(plan.actions)  # [H, A] joint targets, rad
print("first action (rad):", dict(zip(task.joints, targets[0].round(3).tolist(), strict=True)))
print(f"predicted return of {len(targets)} steps: {plan.predicted_return:.1f}")
