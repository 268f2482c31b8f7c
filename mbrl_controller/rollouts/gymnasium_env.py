# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A task in its simulated world as a Gymnasium environment; `rollouts/environments.py` registers one for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.steps import NoModel, Observation, PlanRequest, Solution
from mbrl_controller.control.task_config import contract_for, task_defaults
from mbrl_controller.models.origin import simulated_world
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.planning.base import PlanResult
from mbrl_controller.rollouts.env_spaces import GOAL_STEPS, action_box, check_goal_steps, observation_box, observe
from mbrl_controller.rollouts.episode import EpisodeSpec, charge_full_length, make_core
from mbrl_controller.rollouts.policies import ControllerPolicy
from mbrl_controller.simulation.camera import Camera
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.scene import world_digest
from mbrl_controller.simulation.sim_presets import make_sim_options
from mbrl_controller.tasks.base import Goal, ObservingGoal
from mbrl_controller.tasks.metrics import EpisodeMetrics
from mbrl_controller.tasks.spaces import Array

SEEDS = 2**31  # of episodes that the environment draws itself


class HandGymEnv(gymnasium.Env[Any, Any]):
    """One task on its simulated hand: what `mbrl evaluate` runs, with an agent in place of the controller.

    The same seed gives the same start, goal and sensor noise as there. An action passes the same gate as a plan in the
    node: limits, rate, jumps, and the safe command where none is allowed. The rewards of an episode add up to its
    `episode_return` in a report.

    Observation: the measured state [S], then the goal [G] at each of `goal_steps` control periods ahead as a controller
    sees it. Action: normalised joint targets [A]. `info` has the `command` [A] (rad) that was sent, the true `state`
    [S], and at the end of an episode `metrics`: return, time kept, drop, success and the task's own.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's convention)

    def __init__(
        self,
        task: str,
        *,
        contract: RobotContract | str | Path | None = None,
        sim: str = "nominal",
        sim_options: Mapping[str, Any] | None = None,
        goal_options: Mapping[str, Any] | None = None,
        max_goal_lead: float | None = None,
        seconds: float | None = None,
        goal_steps: Sequence[int] = GOAL_STEPS,
        lost_steps: int | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
    ) -> None:
        """Load the world.

        Args:
            task: name of an installed task.
            contract: of the robot, or its file; None: the task's own.
            sim: preset of the simulated hand.
            sim_options: single options over those of `sim`.
            goal_options: fix parts of the goal, such as direction.
            max_goal_lead: of the controller (rad), by which targets wait for the objects; None: the task's default.
            seconds: length of an episode, after which it is truncated; None: the task's.
            goal_steps: control periods ahead at which the goal is seen, ascending.
            lost_steps: how many steps' drop_cost a drop costs; None: those that the episode still had.
            render_mode: None, or rgb_array.
            width, height: of a picture, pixels.

        Raises:
            MbrlError: something does not exist or fit.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise MbrlError(f"render_mode: expected None or rgb_array, got {render_mode!r}")
        self.goal_steps = check_goal_steps(goal_steps)
        if lost_steps is not None and lost_steps < 0:
            raise MbrlError(f"lost_steps must not be negative, got {lost_steps}")
        file = None if contract is None or isinstance(contract, RobotContract) else Path(contract)
        robot = contract if isinstance(contract, RobotContract) else contract_for(task, file)
        core = task_defaults(robot.task.name).core
        try:
            if max_goal_lead is not None:
                core = ControllerConfig(**{**core.model_dump(), "max_goal_lead": max_goal_lead})
            self._spec = EpisodeSpec(
                contract=robot.text,
                contract_folder=robot.folder,
                sim=make_sim_options(sim, dict(sim_options or {})),
                planner="random",  # plans nothing here, but knows the goal as far ahead as it is seen
                planner_options={"horizon": self.goal_steps[-1]},
                core=core,
                seconds=seconds,
                goal_options=dict(goal_options or {}),
            )
        except ValidationError as error:
            raise MbrlError(f"environment: {describe_validation(error)}") from error
        self.contract, self.task_spec = robot, robot.task
        self.world = simulated_world(world_digest(robot))
        self._hand = HandEnv(HandSimulation(robot, self._spec.sim))
        self._policy = ControllerPolicy(make_core(robot, self._spec, NoModel()))
        self._period = self.contract.action.period
        self._steps = max(1, round((seconds or self.task_spec.episode_s) / self._period))
        self._lost_steps = lost_steps
        self.action_space = action_box(self.contract)
        self.observation_space = observation_box(self.contract, self.goal_steps)
        self.metadata = {**self.metadata, "render_fps": max(1, round(1 / self._period))}
        self.render_mode = render_mode
        self._size = (width, height)
        self._camera: Camera | None = None
        self._goal: Goal | None = None
        self._ended = False
        self.metrics: EpisodeMetrics | None = None  # of the last episode that ended
        self._states: list[Array] = []  # true ones, from the start on
        self._commands: list[Array] = []
        self._goals: list[Array] = []  # asked at each state

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin the episode of `seed`, or of one that is drawn. `options`: goal options of this episode."""
        super().reset(seed=seed)
        episode = int(self.np_random.integers(SEEDS)) if seed is None else seed
        rng = np.random.default_rng(np.random.SeedSequence([episode, 2]))  # as in EpisodeRunner
        self._goal = self.task_spec.sample_goal(rng, **{**self._spec.goal_options, **(options or {})})
        stamp, sensed = self._hand.reset(episode)
        self._policy.reset(episode, Observation(sensed, stamp))
        self._states = [self._hand.simulation.state()]
        self._commands.clear()
        self._goals.clear()
        self._ended = False
        return self._see(stamp, sensed), {"seed": episode, "state": self._states[-1].copy()}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Send an action [A] in [-1, 1] and let one control period pass; raises MbrlError where there is no episode."""
        if self._goal is None or self._ended:
            raise MbrlError("step: no episode runs; call reset first")
        wanted = np.asarray(action, dtype=float)
        if wanted.shape != self.action_space.shape or not np.isfinite(wanted).all():
            raise MbrlError(f"step: an action has {len(self.contract.action)} finite entries, got {action!r:.200}")
        command = self._through_the_gate(np.clip(wanted, -1.0, 1.0))
        stamp, sensed = self._hand.step(command)
        task, state = self.task_spec, self._hand.simulation.state()
        self._states.append(state)
        self._commands.append(command)
        observation = self._see(stamp, sensed)
        dropped = bool(task.dropped(state))
        missing = self._steps - len(self._commands)
        reward = float(task.reward(state, command, self._goals[-1]))
        if dropped:
            reward -= task.drop_cost * (1 + missing if self._lost_steps is None else self._lost_steps)
        self._ended = dropped or not missing
        info: dict[str, Any] = {"command": np.array(command), "state": state.copy()}
        if self._ended:
            self.metrics = self._metrics(missing)
            fields = asdict(self.metrics)
            info["metrics"] = {**fields.pop("values"), **fields}
        return observation, reward, dropped, self._ended and not dropped, info

    def render(self) -> NDArray[np.uint8] | None:
        """The scene with the goal's markers [height, width, 3]; None without a render_mode."""
        if self.render_mode is None:
            return None
        if self._goal is None:
            raise MbrlError("render: no episode runs; call reset first")
        if self._camera is None:
            self._camera = Camera(self._hand.simulation, *self._size)
        return self._camera.picture(self.task_spec.markers(self._goals[-1]))

    def close(self) -> None:
        """Free the renderer."""
        if self._camera is not None:
            self._camera.__exit__(None, None, None)
            self._camera = None

    def _see(self, stamp: float, sensed: Array) -> Array:
        """Note what is asked now, and observe: state, and goals as the controller's planner would see them."""
        assert self._goal is not None
        now = self._period * len(self._commands)
        if isinstance(self._goal, ObservingGoal):
            self._goal.observe(sensed, now)
        self._goals.append(self._goal.at(np.asarray(now)))
        self._request: PlanRequest = self._policy.core.prepare(Observation(sensed, stamp), self._goal, now, now)
        return observe(sensed, self._request.goals[[step - 1 for step in self.goal_steps]])

    def _through_the_gate(self, action: Array) -> Array:
        """The command [A] (rad) for an action, as the controller would send a plan of it."""
        core, targets = self._policy.core, self.contract.action.to_target(action[None])
        plan = PlanResult(actions=action[None], predicted_return=np.nan, iterations=0, evaluated=0, valid=True)
        solution = Solution(plan, self._request.planner_state, targets, np.nan, "", 0.0)
        tick = core.conclude(self._request, solution, now=self._period * len(self._commands))
        command = core.safety.last_command  # stays in force where nothing is sent
        if command is None:
            raise MbrlError(f"step: the hand's start allows no command: {tick.reason}")
        return command

    def _metrics(self, missing: int) -> EpisodeMetrics:
        found = self.task_spec.metrics(
            np.array(self._states), np.array(self._commands), np.array(self._goals), self._period
        )
        return charge_full_length(found, self.task_spec.drop_cost, missing)
