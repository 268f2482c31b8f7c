# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Helpers that know nothing of robots: errors, files, the console, processes, units, option overrides."""
