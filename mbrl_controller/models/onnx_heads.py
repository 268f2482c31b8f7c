# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which class loads which kind of head."""

from __future__ import annotations

from mbrl_controller.models.heads import HeadKind
from mbrl_controller.models.onnx_head import OnnxHead
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_reward import OnnxReward
from mbrl_controller.models.onnx_value import OnnxValue

HEADS: dict[HeadKind, type[OnnxHead]] = {"policy": OnnxPolicy, "value": OnnxValue, "reward": OnnxReward}
