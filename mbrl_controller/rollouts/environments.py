# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Registers a Gymnasium environment for each installed task that has a world, when it is imported:

    import gymnasium
    import mbrl_controller.rollouts.environments

    env = gymnasium.make("mbrl_controller/Baoding-v0")

or in one line, `gymnasium.make("mbrl_controller.rollouts.environments:mbrl_controller/Baoding-v0")`. Physics is loaded
by `make`. Tasks of other packages are found through their entry points: a task `my_task` is MyTask-v0.
"""

from __future__ import annotations

import re

import gymnasium

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.simulation.scene_paths import scene_path
from mbrl_controller.tasks.catalog import TASKS

NAMESPACE = "mbrl_controller"
ENTRY_POINT = "mbrl_controller.rollouts.gymnasium_env:HandGymEnv"


def environment_id(task: str) -> str:
    """The id of a task's environment: `mbrl_controller/Baoding-v0`."""
    words = re.split(r"[^0-9A-Za-z]+", task)
    return f"{NAMESPACE}/{''.join(word[:1].upper() + word[1:] for word in words)}-v0"


def has_world(task: str) -> bool:
    """Whether the task's own contract has a simulated world; False too where either cannot be read."""
    try:
        scene_path(contract_for(task))
    except MbrlError:
        return False
    return True


def register_environments() -> list[str]:
    """Register what is installed and not registered yet; returns the ids of all, by name."""
    ids = [(task, environment_id(task)) for task in TASKS.names() if has_world(task)]
    for task, name in ids:
        if name not in gymnasium.registry:
            # An episode ends by the task's own time, so that `seconds` can change it.
            gymnasium.register(name, entry_point=ENTRY_POINT, kwargs={"task": task}, order_enforce=True)
    return sorted(name for _, name in ids)


register_environments()
