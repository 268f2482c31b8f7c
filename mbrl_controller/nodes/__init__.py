# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The ROS 2 nodes: controller, logger and sim, with what they share (parameters, QoS, lifecycle, diagnostics)."""
