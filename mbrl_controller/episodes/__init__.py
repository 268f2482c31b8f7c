# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Transitions in and out of episode files, and the contract that maps messages to vectors."""
