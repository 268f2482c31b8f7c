# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Model-predictive control of a dexterous hand with a learned ensemble of dynamics models, over ROS 2."""

__version__ = "0.1.0"
