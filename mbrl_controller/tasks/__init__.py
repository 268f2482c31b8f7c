# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is asked of a hand: one task a file, found by name in `catalog`."""
