# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A model file by the backend that serves it. torch is imported only where it is asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Literal, get_args

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.served_model import LearnedEnsemble
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace

Backend = Literal["onnx", "torch"]
BACKENDS: tuple[str, ...] = get_args(Backend)
# By name, so that torch is imported by those alone who ask for it.
_ENSEMBLES = {
    "onnx": "mbrl_controller.models.onnx_ensemble:OnnxEnsemble",
    "torch": "mbrl_controller.dynamics.torch_rollout:TorchEnsemble",
}


def load_ensemble(
    source: ModelFile | Path | str,
    backend: str = "onnx",
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
    threads: int = 1,
) -> LearnedEnsemble:
    """The model in a file (read before, or at a path), served by ONNX Runtime, or by torch on the GPU (the CPU where
    there is none).

    `threads`: on the CPU; torch's number is one for the whole process. torch needs an fp32 file. Raises ModelError
    for a file that must not be served, for an unknown backend, and where torch is not installed.
    """
    if backend not in _ENSEMBLES:
        raise ModelError(f"unknown backend {backend!r}; known: {', '.join(BACKENDS)}")
    module, name = _ENSEMBLES[backend].split(":")
    try:
        ensemble = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ModelError(f"backend {backend}: {error}; it needs: {how_to_install('train')}") from error
    loaded: LearnedEnsemble = ensemble.load(source, task=task, action=action, threads=threads)
    return loaded
