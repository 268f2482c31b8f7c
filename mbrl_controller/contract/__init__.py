# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The robot contract: which topics and joints make up a state and a command, and how messages become vectors."""
