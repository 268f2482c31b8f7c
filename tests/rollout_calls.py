# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Short calls of functions that take a RolloutConfig or a RetrainRequest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any


def roll_out(run: Callable[..., Any], task: str, *arguments: Any, **options: Any) -> Any:
    """Call `run`: options of RolloutConfig go into one, the others and `arguments` follow it."""
    from mbrl_controller.rollouts.config import RolloutConfig

    own = {field.name for field in fields(RolloutConfig)}
    config = RolloutConfig(task, **{name: value for name, value in options.items() if name in own})
    return run(config, *arguments, **{name: value for name, value in options.items() if name not in own})


def retrained(task: str, **options: Any) -> Any:
    """Retrain: options of RetrainRequest go into one, the others follow it."""
    from mbrl_controller.training import retrain
    from mbrl_controller.training.retrain_plan import RetrainRequest

    own = {field.name for field in fields(RetrainRequest)}
    request = RetrainRequest(task, **{name: value for name, value in options.items() if name in own})
    return retrain.run(request, **{name: value for name, value in options.items() if name not in own})
