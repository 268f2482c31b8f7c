# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated episodes on several processes: collecting, evaluating and rendering a policy."""
