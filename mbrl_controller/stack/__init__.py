# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The nodes as child processes: the demo, timed runs and soak tests."""
