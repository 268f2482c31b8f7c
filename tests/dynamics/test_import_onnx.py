# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The network back from its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.import_onnx import weights_of
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.tasks.spaces import ActionSpace
from mbrl_controller.tasks.valve import Valve

TASK = Valve(("a", "b"))
ACTION = ActionSpace(("a", "b"), np.full(2, -1.0), np.full(2, 1.0), np.zeros(2), np.full(2, 3.0), 0.1)
SPEC = ModelSpec.of(TASK, "toy", ACTION, 3, (8, 9))


def network(action_input: str) -> DynamicsEnsemble:
    model = DynamicsEnsemble(SPEC, action_input=action_input, seed=4)
    random = torch.Generator().manual_seed(1)
    for name in ("feature_mean", "delta_mean"):
        getattr(model, name).copy_(torch.randn(getattr(model, name).shape, generator=random))
    for name in ("feature_std", "delta_std"):
        getattr(model, name).copy_(torch.rand(getattr(model, name).shape, generator=random) + 0.5)
    return model


@pytest.mark.parametrize("action_input", ["error", "target"])
def test_a_restored_network_predicts_what_the_exported_one_did(tmp_path: Path, action_input: str) -> None:
    model = network(action_input)
    export_onnx(model, SPEC, tmp_path / "model.onnx")
    weights, fed = weights_of(ModelFile.read(tmp_path / "model.onnx"))
    assert fed == action_input
    again = DynamicsEnsemble(SPEC, action_input=fed, seed=0)
    again.load_weights(weights)
    rng = np.random.default_rng(0)
    state, action = rng.normal(size=(3, 50, len(TASK.state))), rng.normal(size=(50, 2))
    assert np.allclose(model.predictor()(state, action), again.predictor()(state, action), atol=1e-5)


def test_rounded_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    export_onnx(network("error"), SPEC, file, precision="int8")
    with pytest.raises(ModelError, match=r"rounded to int8; .* needs its fp32 file"):
        weights_of(ModelFile.read(file))
    file.write_bytes(b"garbage")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        weights_of(ModelFile.read(file))
    with pytest.raises(ModelError, match="missing"):
        weights_of(ModelFile.read(tmp_path / "missing.onnx"))
