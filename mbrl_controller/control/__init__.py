# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Real time without ROS: the controller's core, safety, the fixed-rate loop and its timing statistics."""
