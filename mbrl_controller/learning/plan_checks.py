# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a learning plan would fail at only after hours is found before it begins."""

from __future__ import annotations

import numpy as np
from pydantic import ValidationError

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.dynamics.data import MIN_TRANSITIONS
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.learning.collection import CollectionConfig
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.planning.catalog import PLANNERS, make_planner
from mbrl_controller.simulation.sim_presets import make_sim_options
from mbrl_controller.tasks.metrics import direction


def checked_plan(plan: LearnPlan, robot: RobotContract) -> LearnPlan:
    """The plan with complete planner options; raises MbrlError for what would fail only later."""
    if not PLANNERS[plan.planner_name].needs_model:
        raise MbrlError(f"learning options: planner_name: {plan.planner_name} does not use what is learnt")
    if plan.base.version:
        _check_first_round(plan, robot)
    elif (steps := plan.random_env_steps(robot)) < MIN_TRANSITIONS:
        raise MbrlError(
            f"learning options: random_episodes, random_scales, random_seconds: {steps} control steps of random motion "
            f"are too few to train on, which takes {MIN_TRANSITIONS}"
        )
    if plan.hand == "real":
        _check_real(plan, robot)
    planner = make_planner(plan.planner_name, len(robot.action), plan.planner).config.model_dump(mode="json")
    plan = plan.model_copy(update={"planner": planner})
    make_sim_options(plan.sim, plan.sim_options)
    make_sim_options(plan.base.rehearsal_sim, plan.base.rehearsal_sim_options)
    try:
        direction(robot.task.metric_specs, plan.acceptance_metric)
    except ValueError as error:
        raise MbrlError(f"learning options: acceptance_metric: {error}") from error
    try:
        plan.training_of(2)
    except ValidationError as error:
        said = describe_validation(error, TrainConfig, "mbrl options training")
        raise MbrlError(f"learning options: warm_training: {said}") from error
    base = plan.base.model_copy(update={"rehearsal": tuple(_checked(b, plan, robot) for b in plan.base.rehearsal)})
    collect = tuple(_checked(behaviour, plan, robot) for behaviour in plan.collect)
    return plan.model_copy(update={"collect": collect, "base": base})


def _check_first_round(plan: LearnPlan, robot: RobotContract) -> None:
    """Raises MbrlError if a version to start from gets too little data of the hand to train on."""
    steps = plan.max_env_steps(0, robot)
    if steps < MIN_TRANSITIONS:
        raise MbrlError(
            f"learning options: collect: {steps} control steps a round are too few to train on, which takes "
            f"{MIN_TRANSITIONS}"
        )
    if plan.env_steps is not None and steps > plan.env_steps:
        raise MbrlError(f"learning options: env_steps: {plan.env_steps} are less than the {steps} of the first round")


def _check_real(plan: LearnPlan, robot: RobotContract) -> None:
    """Raises MbrlError for what a hand without a simulation cannot do."""
    if not plan.through_ros:
        raise MbrlError(
            f"no simulated world is known for robot {robot.file.robot!r} and task {plan.task!r}: learn on the hand "
            "itself with --through-ros, while its driver runs, or name a world in the contract (scene: scene.yaml)"
        )
    if plan.acceptance_test != "always":
        raise MbrlError("learning options: acceptance_test: a real hand has no simulated episodes to test with")
    if turned := [behaviour.name for behaviour in plan.collect if behaviour.start_turn]:
        raise MbrlError(f"learning options: collect.{turned[0]}.start_turn: nobody turns the objects of a real hand")


def _checked(behaviour: CollectionConfig, plan: LearnPlan, robot: RobotContract) -> CollectionConfig:
    try:
        planner = make_planner(plan.planner_name, len(robot.action), plan.planner_of(behaviour)).config
        plan.core_of(behaviour)
        robot.task.sample_goal(np.random.default_rng(0), **behaviour.goal_options)
        if behaviour.start_turn:
            robot.task.turn_objects(np.zeros((2, 3)), 0.0)
    except ValidationError as error:
        said = describe_validation(error, ControllerConfig, "mbrl options controller")
        raise MbrlError(f"learning options: collect.{behaviour.name}: core: {said}") from error
    except (MbrlError, TypeError, ValueError) as error:
        raise MbrlError(f"learning options: collect.{behaviour.name}: {error}") from error
    read = planner.model_dump(mode="json")
    return behaviour.model_copy(update={"planner": {name: read[name] for name in behaviour.planner}})
