# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Measurements of the planner as it is served: `mbrl benchmark planner`. One part a file."""
