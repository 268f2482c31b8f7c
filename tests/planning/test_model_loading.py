"""Which backend serves a model, where torch is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mbrl_controller.errors import ModelError
from mbrl_controller.planning.model_loading import load_ensemble


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
        "import mbrl_controller.jobs.plans\n"
        "from mbrl_controller.planning.model_loading import load_ensemble\n"
        "from mbrl_controller.resources import share_dir\n"
        "model = load_ensemble(share_dir() / 'models' / 'valve' / 'v0001' / 'model.onnx')\n"
        "model.warm_up(2, 2)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
