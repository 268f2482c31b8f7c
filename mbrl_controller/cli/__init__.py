# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The `mbrl` command: its options, help texts and tables."""
