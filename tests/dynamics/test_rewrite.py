# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A model file in today's graph predicts as it did."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.dynamics.rewrite import rewritten
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.golden_samples import GoldenSamples
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble

VERSIONS = [("valve", "v0001"), ("baoding", "v0002")]


def shipped(task: str, version: str, name: str = "model.onnx") -> ModelFile:
    return ModelFile.read(share_dir() / "models" / task / version / name)


def predictions(file: ModelFile) -> np.ndarray:
    """Three steps on, in units of one step's change."""
    model = OnnxEnsemble.load(file)
    spec, rng = model.spec, np.random.default_rng(3)
    lower, upper = np.array(spec.action_lower), np.array(spec.action_upper)
    state = rng.normal(0, 0.02, len(spec.state_names))
    return model.rollout(state, rng.uniform(lower, upper, (20, 3, len(lower)))) / model.delta_scale


@pytest.mark.parametrize(("task", "version"), VERSIONS)
def test_the_same_networks_predict_the_same(task: str, version: str) -> None:
    old = shipped(task, version)
    new = rewritten(old)
    np.testing.assert_allclose(predictions(new), predictions(old), atol=1e-4)
    assert OnnxEnsemble.load(new).spec == OnnxEnsemble.load(old).spec
    assert rewritten(new).sha256 == new.sha256  # there is nothing left to write anew


@pytest.mark.usefixtures("own_int8")
@pytest.mark.parametrize(("task", "version"), VERSIONS)
def test_so_do_they_in_8_bit(task: str, version: str) -> None:
    old = shipped(task, version, "model.int8.onnx")
    new = rewritten(old, shipped(task, version))
    difference = predictions(new) - predictions(old)
    assert np.sqrt(np.mean(difference**2)) < 0.05  # single units may round the other way
    before, after = ({p.key: p.value for p in onnx.load_from_string(f.content).metadata_props} for f in (old, new))
    spec = OnnxEnsemble.load(new).spec
    kept = GoldenSamples.from_metadata(after, spec, "new")
    for name in ("state", "action", "next_state"):
        np.testing.assert_array_equal(
            getattr(kept, name), getattr(GoldenSamples.from_metadata(before, spec, "old"), name)
        )
    with pytest.raises(ModelError, match="rounded to int8"):
        rewritten(old)


def test_the_description_changes_as_asked() -> None:
    old = shipped("valve", "v0001")
    new = rewritten(old, version="v0042")
    spec = OnnxEnsemble.load(old).spec
    assert OnnxEnsemble.load(new).spec == spec.model_copy(update={"version": "v0042"})


def test_a_file_whose_graph_meant_something_else_stays_as_it_is() -> None:
    """This one limits targets to the reach first, and then to the joints' limits: joints outside these differ."""
    with pytest.raises(ModelError, match="written anew, its predictions differ by"):
        rewritten(shipped("baoding", "v0001"))


def test_a_foreign_file_is_refused() -> None:
    model = onnx.load_from_string(shipped("valve", "v0001").content)
    for tensor in model.graph.initializer:
        if tensor.name == "feature_std":
            tensor.name = "spread"
    for node in model.graph.node:
        node.input[:] = ["spread" if name == "feature_std" else name for name in node.input]
    with pytest.raises(ModelError, match=r"other\.onnx.*feature_std"):
        rewritten(ModelFile.of("other.onnx", model.SerializeToString()))


@pytest.mark.usefixtures("own_int8")
def test_an_8_bit_file_of_another_make_is_refused() -> None:
    model = onnx.load_from_string(shipped("valve", "v0001", "model.int8.onnx").content)
    step = next(tensor for tensor in model.graph.initializer if tensor.name == "input_step")
    step.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(step), "unit"))
    for node in model.graph.node:
        node.input[:] = ["unit" if name == "input_step" else name for name in node.input]
    with pytest.raises(ModelError, match=r"other\.onnx.*input_step"):
        rewritten(ModelFile.of("other.onnx", model.SerializeToString()), shipped("valve", "v0001"))
