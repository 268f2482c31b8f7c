# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which backend serves a model, where torch is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.loading import load_ensemble


def test_without_torch_its_backend_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "mbrl_controller.dynamics.torch_rollout", raising=False)
    with pytest.raises(ModelError, match=r"backend torch: .*torch.*pip install '\.\[train\]'"):
        load_ensemble(Path("model.onnx"), "torch")


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ModelError, match="unknown backend 'jax'; known: onnx, torch"):
        load_ensemble(Path("model.onnx"), "jax")


def test_onnx_runtime_serves_where_torch_cannot_be_imported() -> None:
    """What the controller and the episode runners import, and a load; torch is out of reach all the while."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import mbrl_controller.rollouts.config\n"
        "from mbrl_controller.models.loading import load_ensemble\n"
        "from mbrl_controller.base.resources import share_dir\n"
        "model = load_ensemble(share_dir() / 'models' / 'valve' / 'v0001' / 'model.onnx')\n"
        "model.warm_up(2, 2)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_each_backend_is_given_all_that_was_said(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        @staticmethod
        def load(*arguments: object, **options: object) -> tuple[object, ...]:
            return (*arguments, options)

    if backend == "onnx":
        monkeypatch.setattr("mbrl_controller.models.onnx_ensemble.OnnxEnsemble", Stub)
    else:
        monkeypatch.setitem(sys.modules, "mbrl_controller.dynamics.torch_rollout", SimpleNamespace(TorchEnsemble=Stub))
    found = load_ensemble("m.onnx", backend, task="a task", action="an action", threads=3)  # type: ignore[arg-type]
    assert found == ("m.onnx", {"task": "a task", "action": "an action", "threads": 3})


def test_onnx_runtime_on_one_thread_is_what_serves_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict] = []
    monkeypatch.setattr(
        "mbrl_controller.models.onnx_ensemble.OnnxEnsemble",
        SimpleNamespace(load=lambda source, **options: asked.append(options)),
    )
    load_ensemble("m.onnx")
    assert asked == [{"task": None, "action": None, "threads": 1}]
