# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the planner would do in given states: the labels that a policy learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from mbrl_controller.base.errors import ModelError
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.heads import used_heads
from mbrl_controller.control.network_count import NetworkCount
from mbrl_controller.control.plan_objective import plan_objective
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.head_loading import HeadFiles, Heads, open_heads
from mbrl_controller.models.loading import LoadedModel, load_ensemble, load_gradients
from mbrl_controller.planning.base import PlannerOptions
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.proposals import Candidates, with_horizon
from mbrl_controller.tasks.spaces import Array, Mask


class TeacherSpec(BaseModel):
    """The planner that teaches, as plain data that other processes can take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contract: str  # YAML text
    contract_folder: Path | None = None  # where its scene is
    model: Path
    model_sha256: str
    planner: str
    planner_options: PlannerOptions
    core: ControllerConfig
    first_iterations: int  # of the planner where it has no plan yet to start from
    # A policy in it proposes, as `proposal_fraction` says; value and reward are those that `core` asks for.
    heads: HeadFiles = HeadFiles()


class Teacher:
    """Plans along sequences of states, each plan starting from the one before, as in control."""

    def __init__(self, spec: TeacherSpec) -> None:
        """Raises MbrlError for what does not exist or fit."""
        self.spec = spec
        self.contract: RobotContract = parse_contract(spec.contract, folder=spec.contract_folder)
        self.action = self.contract.action
        file = ModelFile.read(spec.model, spec.model_sha256)
        ensemble = load_ensemble(file, task=self.contract.task, action=self.action, threads=1)
        options = spec.planner_options
        heads = open_heads(spec.heads.read(), task=self.contract.task, action=self.action)
        self.planner = make_planner(spec.planner, len(self.action), options)
        gradients = load_gradients(file, ensemble.spec, Heads()) if self.planner.needs_gradients else None
        self.model = LoadedModel(ensemble, heads=heads, gradients=gradients)
        if not self.planner.needs_model:
            raise ModelError(f"planner {spec.planner} asks no model; there is nothing to learn from it")
        core = spec.core.model_copy(update={"fallback": "previous_plan"})  # nothing is late here
        self.heads = used_heads(self.model, self.planner, core, "controller")
        present = getattr(self.planner.config, "iterations", None)  # of planners that have them
        longer = options if present is None else {**options, "iterations": max(spec.first_iterations, present)}
        self._first = make_planner(spec.planner, len(self.action), longer)

    @property
    def horizon(self) -> int:
        """Actions of a plan."""
        return int(self.planner.config.horizon)

    def plans(self, states: Array, goals: Array, commands: Array, seed: int) -> tuple[Array, Mask]:
        """Plans [T, H, A] in [-1, 1], and where one was found [T].

        Args:
            states: [T, S] in the order in which they were visited.
            goals: [T, L, G], L at least `heads.rows` of the planner's horizon, as in Demonstrations.
            commands: [T, A] rad, what was sent in each of them, by whomever.
            seed: of the planner's random numbers.
        """
        plans = np.zeros((len(states), self.horizon, len(self.action)))
        found = np.zeros(len(states), dtype=bool)
        position = states[0][self.contract.task.joint_positions] if len(states) else None
        memory = self.planner.initial_state(seed, None if position is None else self.action.to_normalised(position))
        for t, state in enumerate(states):
            objective = plan_objective(
                self.model,
                self.heads,
                self.spec.core,
                NetworkCount(),
                task=self.contract.task,
                action=self.action,
                state=state,
                goals=goals[t],
                horizon=self.horizon,
                proposals=self._proposals(state, goals[t]),
            )
            plan, memory = (self.planner if t else self._first).plan(objective, memory)
            plans[t], found[t] = plan.actions, plan.valid
            memory = memory.executed(self.action.to_normalised(commands[t]))
        return np.clip(plans, -1.0, 1.0), found

    def _proposals(self, state: Array, goals: Array) -> Candidates | None:
        policy = self.heads.policy
        if policy is None or not self.heads.proposes:
            return None
        return with_horizon(policy.plan(state, goals), self.horizon)[None]
