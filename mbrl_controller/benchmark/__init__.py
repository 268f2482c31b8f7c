# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Measurements behind `mbrl benchmark`: latency, deadlines, memory, control quality, other libraries."""
