# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where labels of the reward come from, where nobody can write it: a person's button, a sensor, a judge."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.fields import Strict, Topic

ROLE = "reward"  # of the topic in an episode's metadata


class RewardLabel(Strict):
    """Labels of the reward, which the logger writes beside the state. Each is of the control period that ended nearest
    to it; what a drop costs is in it. They have no stamp: a label counts from when it was received."""

    topic: Topic = Field(description="where they come from")
    type: Literal["std_msgs/msg/Float64", "std_msgs/msg/Float32MultiArray", "std_msgs/msg/Float64MultiArray"] = Field(
        default="std_msgs/msg/Float64", description="message type"
    )
    entry: int = Field(default=0, ge=0, lt=2**20, description="of an array, the index in `data`")

    @model_validator(mode="after")
    def _entry_of_an_array(self) -> RewardLabel:
        if self.type == ros_types.FLOAT64 and self.entry:
            raise ValueError(f"entry {self.entry}: {self.type} has one number; entry is for arrays")
        return self

    def value(self, message: Any) -> float:
        """The label in a message of this type; raises MessageError where the array is too short."""
        if self.type == ros_types.FLOAT64:
            return float(message.data)
        data = np.asarray(message.data, dtype=float)
        if self.entry >= data.size:
            raise MessageError(f"{self.topic}: {data.size} values, so no reward at {self.entry}")
        return float(data[self.entry])
