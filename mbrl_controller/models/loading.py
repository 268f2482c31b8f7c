# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How a controller loads a version: `load_model` selects a file, checks it, and returns a model to plan with. Rollouts
select in one process (`select_model_file` in selection.py) and load in others (`load_ensemble`).

A file goes through these checks, of which each raises ModelError: the card's digest (card.py), the operators and sizes
of the graph (onnx_validation.py), a first run in a process of its own where `sandbox_size` is given (sandbox.py), and a
prediction and the golden samples of an 8-bit file (onnx_ensemble.py).
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.models.card import Version
from mbrl_controller.models.differentiable import DifferentiableModel
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.head_loading import Heads, load_heads
from mbrl_controller.models.onnx_density import OnnxDensity
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_reward import OnnxReward
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.models.onnx_window import OnnxWindow
from mbrl_controller.models.selection import select_model_file
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, Array

Backend = Literal["onnx", "torch"]
BACKENDS: tuple[str, ...] = get_args(Backend)
# By name, so that only those who ask for torch import it.
_ENSEMBLES = {
    "onnx": "mbrl_controller.models.onnx_ensemble:OnnxEnsemble",
    "torch": "mbrl_controller.dynamics.torch_rollout:TorchEnsemble",
}

_GRADIENTS = "mbrl_controller.dynamics.torch_gradients:TorchGradients"


class LearnedEnsemble(Protocol):
    """A loaded model file, of any backend; sizes, units and errors as in OnnxEnsemble."""

    spec: ModelSpec
    path: Path
    digest: str
    size: int
    delta_scale: Array

    def predict(self, state: Array, action: Array) -> NDArray[np.float32]: ...

    def rollout(self, state: Array, actions: Array) -> NDArray[np.float32]: ...

    def warm_up(self, candidates: int, horizon: int, repeats: int = 3) -> None: ...


class LoadedModel:
    """A learned ensemble with its version and the version's heads.

    `fallback`: what is wrong with the version's 8-bit file here, so that it is not served; else empty. `choice`: how
    its file was chosen, in words. `gradients`: the same model for planning by gradient; None: it was not asked for.
    """

    def __init__(
        self,
        ensemble: LearnedEnsemble,
        version: str = "",
        fallback: str = "",
        choice: str = "",
        heads: Heads | None = None,
        gradients: DifferentiableModel | None = None,
    ) -> None:
        self.ensemble = ensemble
        self.heads = heads or Heads()
        self.version = version or ensemble.spec.version or str(ensemble.path)
        self.fallback = fallback
        self.choice = choice
        self.gradients = gradients
        self.delta_scale: Array | None = np.asarray(ensemble.spec.delta_scale) if ensemble.spec.delta_scale else None
        self.disagreement_limit = ensemble.spec.disagreement_limit

    @property
    def policy(self) -> OnnxPolicy | None:
        """The version's policy; None: it has none, or it was not asked for."""
        return self.heads.policy

    @property
    def value(self) -> OnnxValue | None:
        """The version's value ensemble; None: it has none, or it was not asked for."""
        return self.heads.value

    @property
    def reward(self) -> OnnxReward | None:
        """The version's reward ensemble; None: it has none, or it was not asked for."""
        return self.heads.reward

    @property
    def joint(self) -> OnnxDensity | None:
        """The version's density of steps; None: it has none, or it was not asked for."""
        return self.heads.joint

    @property
    def proposers(self) -> tuple[OnnxWindow, ...]:
        """The version's inverse models, which propose commands that lead towards the goal."""
        given = (self.heads.multistep_inverse, self.heads.inverse)
        return tuple(model for model in given if model is not None)

    @property
    def action_free(self) -> OnnxWindow | None:
        """The version's model of what comes next, whatever is commanded; None: as for `joint`."""
        return self.heads.action_free

    def rollout(self, state: Array, actions: Array) -> Array:
        """States [E, N, H, S] after targets [N, H, A] from state [S]."""
        return self.ensemble.rollout(state, actions)

    def predict(self, state: Array, action: Array) -> Array:
        """Next states [E, N, S] of states [N, S] under targets [N, A]."""
        return self.ensemble.predict(state, action)


def load_model(
    version: Version,
    precision: str = "auto",
    backend: str = "onnx",
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
    threads: int = 1,
    sandbox_size: tuple[int, int] | None = None,
    heads: bool = True,
    gradients: bool = False,
) -> LoadedModel:
    """Load a version to plan with, and its heads; raises ModelError, also where it has no model (see `load_heads`).

    Args:
        version: from the registry.
        precision: a ServedPrecision.
        backend: "onnx", or "torch" on the GPU (the CPU if there is none).
        task: with `action`, the model must have been made for them.
        action: see `task`.
        threads: see load_ensemble.
        sandbox_size: candidates and horizon at which a file first runs in a process of its own, and at which the model
            is warmed up; None: neither.
        heads: whether to load the version's heads too; a damaged one is an error.
        gradients: whether to load it for planning by gradient too, which needs torch and an fp32 file.
    """

    chosen = select_model_file(
        version, precision, backend, task=task, action=action, sandbox_size=sandbox_size, gradients=gradients
    )
    ensemble = load_ensemble(chosen.file, backend, task=task, action=action, threads=threads)
    if sandbox_size is not None:
        ensemble.warm_up(*sandbox_size)
    beside = Heads()
    if heads:  # a value is asked of all candidates on all members at once
        rows, steps = (None, 1) if sandbox_size is None else (sandbox_size[0] * ensemble.size, sandbox_size[1])
        beside = load_heads(
            version,
            chosen.card,
            task=task,
            action=action,
            threads=threads,
            sandbox_rows=rows,
            sandbox_steps=steps,
        )
    named = chosen.card.spec.version or version.name
    differentiable = load_gradients(chosen.file, ensemble.spec, beside, threads) if gradients else None
    return LoadedModel(ensemble, named, chosen.fallback, chosen.why, beside, differentiable)


def check_gradients_installed() -> None:
    """Raises ModelError if what planning by gradient needs is not installed."""
    for module in ("torch", "array_api_compat"):
        if importlib.util.find_spec(module) is None:
            raise ModelError(f"gradients of a model need {module}, which is not installed: {how_to_install('train')}")


def load_gradients(file: ModelFile, spec: ModelSpec, heads: Heads, threads: int = 1) -> DifferentiableModel:
    """A model file, and the version's value, for planning by gradient.

    Args:
        file: fp32.
        spec: the file's.
        heads: of the version.
        threads: of torch, on the CPU, in this whole process.

    Raises:
        ModelError: torch is not installed, or the file has no gradients.
    """
    check_gradients_installed()
    module, name = _GRADIENTS.split(":")
    value = None if heads.value is None else ModelFile.read(heads.value.path, heads.value.digest)
    found: DifferentiableModel = getattr(importlib.import_module(module), name).load(file, spec, value, threads=threads)
    return found


def load_ensemble(
    source: ModelFile | Path | str,
    backend: str = "onnx",
    *,
    task: Task | None = None,
    action: ActionSpace | None = None,
    threads: int = 1,
) -> LearnedEnsemble:
    """Load one model file; raises ModelError for a bad file, an unknown backend, and if torch is not installed.

    Args:
        source: a path, or a file that was read before. torch needs an fp32 file.
        backend: "onnx", or "torch" on the GPU (the CPU if there is none).
        task: with `action`, the model must have been made for them.
        action: see `task`.
        threads: on the CPU; torch has one number for the whole process.
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
