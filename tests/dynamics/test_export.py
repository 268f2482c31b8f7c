# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The exported file is the network: same numbers, same bytes, nothing left behind when it is not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics import onnx_graph
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import INT8_RMS_TOLERANCE, check_export, export_onnx
from mbrl_controller.dynamics.validation import evaluate
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.spec import METADATA_KEY, ModelSpec


def network(toy_spec, toy_record, **options) -> DynamicsEnsemble:
    model = DynamicsEnsemble(toy_spec, seed=2, **options)
    model.fit_scaling(toy_record(10, 20), toy_spec)
    return model


@pytest.mark.parametrize("action_input", ["target", "error"])
@pytest.mark.parametrize("periodic", [(), (4,), (0, 3)])
def test_onnx_equals_torch(toy_spec, toy_record, tmp_path, action_input, periodic) -> None:
    spec = toy_spec.model_copy(update={"periodic": periodic})
    model = network(spec, toy_record, action_input=action_input)
    data = toy_record(5, 20, seed=1)
    state = np.repeat(data.state[None], 2, axis=0)
    state[1] += 0.05
    state[:, :3] *= 40  # beyond the clamp and the limits
    export_onnx(model, spec, tmp_path / "m.onnx", samples=(data.state, data.action))
    served = OnnxEnsemble.load(tmp_path / "m.onnx").predict(state, 3 * data.action)
    assert np.allclose(served, model.predictor()(state, 3 * data.action), atol=2e-5)


@pytest.mark.usefixtures("own_int8")
def test_int8_is_close_and_ranks_candidates_alike(toy_spec, toy_record, tmp_path) -> None:
    spec = toy_spec.model_copy(update={"hidden": (200, 200), "ensemble_size": 3})
    model = network(spec, toy_record)
    data = toy_record(5, 20, seed=1)
    paths = {name: tmp_path / f"{name}.onnx" for name in ("fp32", "int8")}
    rollouts = {}
    for name, path in paths.items():
        made = export_onnx(model, spec, path, precision=name, samples=(data.state, data.action))
        assert made.precision == name
        actions = np.random.default_rng(0).uniform(-1, 1, (300, 7, 2))
        rollouts[name] = OnnxEnsemble.load(path).rollout(data.state[0], actions)
    error = (rollouts["int8"] - rollouts["fp32"])[:, :, 0] / model.delta_std.numpy()
    assert 0 < np.sqrt(np.mean(error**2)) < INT8_RMS_TOLERANCE
    returns = [-np.abs(r[..., 2]).sum(2).mean(0) for r in (rollouts["fp32"], rollouts["int8"])]
    ranks = [np.argsort(np.argsort(r)) for r in returns]
    assert np.corrcoef(ranks)[0, 1] > 0.99
    assert paths["int8"].stat().st_size < 0.5 * paths["fp32"].stat().st_size


@pytest.mark.usefixtures("own_int8")
def test_one_candidate_far_away_does_not_coarsen_the_others(toy_spec, toy_record, tmp_path) -> None:
    model = network(toy_spec, toy_record)
    export_onnx(model, toy_spec, tmp_path / "m.onnx", precision="int8")
    served = OnnxEnsemble.load(tmp_path / "m.onnx")
    data = toy_record(5, 20, seed=1)
    state = data.state.copy()
    calm = served.predict(state, data.action)[:, 1:]
    state[0, 2:4] = 1e4
    wild = served.predict(state, data.action)[:, 1:]
    error = (wild - calm) / model.delta_std.numpy()
    assert np.sqrt(np.mean(error**2)) < INT8_RMS_TOLERANCE


def test_the_served_file_is_judged_as_the_network_is(toy_spec, toy_record, tmp_path) -> None:
    model, data = network(toy_spec, toy_record), toy_record(5, 20, seed=1)
    spec = export_onnx(model, toy_spec, tmp_path / "m.onnx")
    ours = evaluate(model.predictor(), data, spec, horizon=5)
    served = evaluate(OnnxEnsemble.load(tmp_path / "m.onnx").predict, data, spec, horizon=5)
    assert served == pytest.approx(ours, rel=1e-3, abs=1e-6)


def test_metadata_describes_the_model(toy_spec, toy_record, tmp_path) -> None:
    model = network(toy_spec, toy_record)
    wrong_size = toy_spec.model_copy(update={"hidden": (1,), "version": "v1"})
    made = export_onnx(model, wrong_size, tmp_path / "m.onnx")
    read = OnnxEnsemble.load(tmp_path / "m.onnx")
    assert read.spec == made
    assert read.spec.hidden == (32, 32)
    assert np.allclose(read.delta_scale, model.delta_std.numpy())
    proto = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    assert [p.key for p in proto.metadata_props] == [METADATA_KEY]


SCRIPT = """
import sys
from pathlib import Path
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.models.spec import ModelSpec
spec = ModelSpec.model_validate_json(sys.argv[1])
for precision in ("fp32", "int8"):
    export_onnx(DynamicsEnsemble(spec, seed=2), spec, Path(sys.argv[2]) / f"{precision}.onnx", precision=precision)
"""


def test_the_same_weights_give_the_same_bytes_in_another_process(toy_spec, tmp_path) -> None:
    spec = ModelSpec.model_validate({**toy_spec.model_dump(), "metrics": {"b": 1.0, "a": 2.0}})
    subprocess.run([sys.executable, "-c", SCRIPT, spec.model_dump_json(), str(tmp_path)], check=True)
    for precision in ("fp32", "int8"):
        export_onnx(DynamicsEnsemble(spec, seed=2), spec, tmp_path / "here.onnx", precision=precision)
        assert (tmp_path / "here.onnx").read_bytes() == (tmp_path / f"{precision}.onnx").read_bytes()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_graph_that_differs_is_refused_and_leaves_no_file(
    toy_spec, toy_record, tmp_path, precision, monkeypatch
) -> None:
    model = network(toy_spec, toy_record)
    path = tmp_path / "m.onnx"
    path.write_bytes(b"the version before")
    constant = onnx_graph.NetworkGraph.constant

    def shifted(self, name, value):
        return constant(self, name, value + value.dtype.type(1) if name.endswith("layer0_bias") else value)

    monkeypatch.setattr(onnx_graph.NetworkGraph, "constant", shifted)
    with pytest.raises(ModelError, match=rf"m\.onnx: the exported {precision} graph differs"):
        export_onnx(model, toy_spec, path, precision=precision)
    assert path.read_bytes() == b"the version before"
    assert list(tmp_path.iterdir()) == [path]


def test_check_export_reports_the_difference(toy_spec, toy_record, tmp_path) -> None:
    model, data = network(toy_spec, toy_record), toy_record(5, 20, seed=1)
    export_onnx(model, toy_spec, tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    assert check_export(content, model, (data.state, data.action), "fp32", "m") < 1e-4
