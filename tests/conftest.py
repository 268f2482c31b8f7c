"""A robot has no training stack: without torch, what trains is not collected, and the rest is tested."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["dynamics", "planning/test_onnx_ensemble.py"]
