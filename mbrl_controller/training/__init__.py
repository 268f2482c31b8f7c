# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Between sessions: from logged episodes to a validated model version in the registry."""
