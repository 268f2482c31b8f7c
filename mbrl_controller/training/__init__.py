# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The job between sessions: from logged episodes to a checked, registered model version."""
