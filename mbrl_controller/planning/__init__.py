# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Choosing actions: planners (one a file), rollout of a model, risk over the ensemble. NumPy and onnxruntime only."""
