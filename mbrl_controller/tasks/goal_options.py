# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What may be fixed of a task's goals, so that a form can be made of it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class GoalOption:
    """One option of `Task.sample_goal`. It describes; `sample_goal` alone decides what is taken.

    Attributes:
        name: as `sample_goal` takes it.
        description: a phrase.
        unit: of a number; empty: none.
        lower: of a number.
        upper: of a number.
        choices: texts to choose from; empty: it is a number.
    """

    name: str
    description: str
    unit: str = ""
    lower: float = -math.inf
    upper: float = math.inf
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError(f"goal option {self.name}: lower {self.lower} is not below upper {self.upper}")
