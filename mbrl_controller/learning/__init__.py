# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Learning from nothing in rounds of collecting, training and evaluating; a run resumes from disk."""
