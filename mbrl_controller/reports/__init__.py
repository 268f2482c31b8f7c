# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Reports over logged sessions: what happened, as one HTML file."""
