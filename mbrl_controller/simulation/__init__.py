# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""MuJoCo: scenes, sensors and actuators with their flaws, randomisation, and the simulator as a planning model."""
