"""Choosing actions: planners (one a file), rollout of a model, risk over the ensemble. NumPy and onnxruntime only."""
