# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A task's learning plan: LearnPlan's defaults, overridden by config/tasks.yaml, overridden by what is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mbrl_controller.base.deprecated import with_new_names_within
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.base.overrides import deep_merge, unflatten
from mbrl_controller.control.task_config import contract_for, planner_defaults, task_defaults
from mbrl_controller.learning.collection import PLAIN_AND_EXPLORE, CollectionConfig
from mbrl_controller.learning.config import RENAMED, LearnPlan
from mbrl_controller.learning.plan_checks import checked_plan
from mbrl_controller.learning.start_version import base_spec, resolve_base
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.simulation.scene_paths import has_world


def make_plan(
    task: str, *, seed: int = 0, contract: Path | None = None, settings: dict[str, Any] | None = None
) -> LearnPlan:
    """The plan for `task`: defaults of LearnPlan, overridden by config/tasks.yaml, overridden by `settings`.

    Args:
        task: to learn.
        seed: of the run.
        contract: of the robot; None: the task's.
        settings: options, nested or with dotted names (`training.max_epochs`).

    Raises:
        MbrlError: names what does not exist or fit.
    """
    asked = with_new_names_within(unflatten(settings or {}), RENAMED, "learning option ")
    robot, defaults = contract_for(task, contract), task_defaults(task)
    starts = bool(asked.get("base", {}).get("version"))
    learning = unflatten(defaults.learning)
    if starts:
        learning = deep_merge(learning, unflatten(defaults.adapting))
    given = deep_merge(with_new_names_within(learning, RENAMED), asked)
    for end, other in (("env_steps", "rounds"), ("rounds", "env_steps")):
        if end in asked and other not in asked:
            given.pop(other, None)  # the task's own end is for those who name none
    given.setdefault("hand", "sim" if has_world(robot) else "real")
    name = given.get("planner_name", "pddm")
    planning = planner_defaults(task, name)
    base = {
        "training": defaults.training,
        "planner": planning.planner_options,
        "core": planning.core.model_dump(),
        "threads": usable_cores(),
        "collect": [behaviour.model_dump() for behaviour in PLAIN_AND_EXPLORE],
    }
    if starts and given.get("start") == "warm":
        spec = base_spec(task, asked["base"])
        shape = {"ensemble_size": spec.ensemble_size, "hidden": spec.hidden}
        given["training"] = {**given.get("training", {}), **shape, **asked.get("training", {})}
    options = deep_merge(base, given)
    options["collect"] = _behaviours("collect", options["collect"])
    if "rehearsal" in options.get("base", {}):
        options["base"]["rehearsal"] = _behaviours("base.rehearsal", options["base"]["rehearsal"])
    if isinstance(options.get("distil"), dict):
        options["distil"] = deep_merge(unflatten(defaults.distil), options["distil"])
    try:
        own = {"task": task, "contract": robot.text, "contract_folder": robot.folder, "seed": seed}
        plan = LearnPlan.model_validate(options | own, strict=False)
    except ValidationError as error:
        raise MbrlError(f"learning options: {describe_validation(error, LearnPlan, 'mbrl options learn')}") from error
    plan = checked_plan(plan, robot)
    return resolve_base(plan, robot) if plan.base.version else plan


def _behaviours(where: str, given: Any) -> Any:
    """`given` at the option `where`, each item read; LearnPlan refuses what is not a list.

    Raises MbrlError naming the behaviour.
    """
    if not isinstance(given, list):
        return given
    read = []
    for i, item in enumerate(given):
        try:
            read.append(CollectionConfig.model_validate(item))
        except ValidationError as error:
            name = item.get("name", i) if isinstance(item, dict) else i
            said = describe_validation(error, CollectionConfig, "mbrl options learn")
            raise MbrlError(f"learning options: {where}.{name}: {said}") from error
    return read
