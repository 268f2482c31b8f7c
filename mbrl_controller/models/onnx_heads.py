# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which class loads which kind of head."""

from __future__ import annotations

from mbrl_controller.models.heads import HeadKind
from mbrl_controller.models.onnx_density import OnnxDensity
from mbrl_controller.models.onnx_head import OnnxHead
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_reward import OnnxReward
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.models.onnx_window import OnnxWindow
from mbrl_controller.models.window_kinds import KINDS, WINDOW_NAMES

HEADS: dict[HeadKind, type[OnnxHead]] = {"policy": OnnxPolicy, "value": OnnxValue, "reward": OnnxReward}
HEADS |= {name: OnnxDensity if KINDS[name].is_density else OnnxWindow for name in WINDOW_NAMES}
