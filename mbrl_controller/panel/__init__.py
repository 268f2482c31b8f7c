# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A page in the browser that shows a running hand and steers it: a node in a process of its own."""
