# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Shows logged episodes again: what was seen, planned and commanded, along a time line."""
