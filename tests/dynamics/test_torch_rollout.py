# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The torch backend: what ONNX Runtime says, from one file, with the same refusals; on a GPU from a captured graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.benchmark.backends import measure_torch
from mbrl_controller.dynamics import torch_rollout
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.export import export_onnx
from mbrl_controller.dynamics.torch_rollout import MAX_CACHED_SIZES, TorchEnsemble
from mbrl_controller.models.loading import LoadedModel, load_ensemble
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.tasks.spaces import ActionSpace, VectorSpec

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.fixture(scope="module")
def exported(toy_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a network with a made-up scaling; its angle is periodic."""

    def write(action_input: str = "error", precision: str = "fp32", input_clamp: float = 5.0) -> Path:
        network = DynamicsEnsemble(toy_spec, action_input=action_input, input_clamp=input_clamp, seed=3)
        source = torch.Generator().manual_seed(1)
        for name, low, high in (("feature_mean", -0.1, 0.1), ("feature_std", 0.3, 0.6), ("delta_std", 0.05, 0.2)):
            getattr(network, name).uniform_(low, high, generator=source)
        path = tmp_path_factory.mktemp("model") / "model.onnx"
        export_onnx(network, toy_spec, path, precision=precision)
        return path

    return write


@pytest.fixture(scope="module")
def file(exported: Callable[..., Path]) -> Path:
    return exported()


@pytest.fixture(scope="module")
def pair(file: Path) -> tuple[OnnxEnsemble, TorchEnsemble]:
    return OnnxEnsemble.load(file), TorchEnsemble.load(file, device="cpu")


def inputs(N: int, H: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A state, and targets that go beyond limits and reach."""
    rng = np.random.default_rng(seed)
    return np.append(rng.uniform(-0.5, 0.5, 4), rng.uniform(-6, 6)), rng.uniform(-1.5, 1.5, (N, H, 2))


def same(ours: np.ndarray, reference: np.ndarray) -> None:
    """Equal but for rounding, which grows over the steps of an untrained network."""
    assert ours.dtype == reference.dtype == np.float32
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("action_input", ["error", "target"])
@pytest.mark.parametrize("input_clamp", [5.0, 1.0])
def test_a_rollout_is_that_of_onnx_runtime(exported, action_input, input_clamp) -> None:
    path = exported(action_input, input_clamp=input_clamp)
    reference, ours = OnnxEnsemble.load(path), TorchEnsemble.load(path, device="cpu")
    for N, H in ((1, 1), (64, 7), (5, 12)):
        state, actions = inputs(N, H, seed=N)
        expected = reference.rollout(state, actions)
        got = ours.rollout(state, actions)
        same(got, expected)
        assert got.shape == (2, N, H, 5)
        assert got.strides == expected.strides


@given(sizes=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 99)), min_size=2, max_size=12))
@settings(deadline=None, max_examples=20)
def test_whatever_was_asked_before_the_answer_is_right(pair, sizes) -> None:
    """The buffers stay; what is in them must not."""
    reference, ours = pair
    for N, H, seed in sizes:
        state, actions = inputs(N, H, seed)
        same(ours.rollout(state, actions), reference.rollout(state, actions))
    assert len(ours._horizons) <= MAX_CACHED_SIZES


def test_a_second_rollout_leaves_the_first_result_alone(pair) -> None:
    ours = pair[1]
    ours.warm_up(4, 3)
    first = ours.rollout(*inputs(4, 3, 0))
    kept = first.copy()
    ours.rollout(*inputs(4, 3, 1))
    np.testing.assert_array_equal(first, kept)


def test_the_sizes_used_last_are_kept(file) -> None:
    ours = TorchEnsemble.load(file, device="cpu")
    for H in range(1, 8):
        ours.rollout(*inputs(9, 3, 0))
        ours.rollout(*inputs(1, H, 0))
    assert list(ours._horizons) == [(1, 5), (1, 6), (9, 3), (1, 7)]


def test_predict_takes_one_state_per_member_or_one_for_all(pair) -> None:
    reference, ours = pair
    rng = np.random.default_rng(1)
    state, action = rng.normal(size=(2, 6, 5)), rng.uniform(-1, 1, (6, 2))
    same(ours.predict(state, action), reference.predict(state, action))
    same(ours.predict(state[0], action), reference.predict(state[0], action))


def test_it_tells_what_it_is(pair) -> None:
    reference, ours = pair
    for name in ("spec", "path", "digest", "size"):
        assert getattr(ours, name) == getattr(reference, name)
    np.testing.assert_array_equal(ours.delta_scale, reference.delta_scale)
    assert ours.device_name == "cpu"
    assert LoadedModel(ours).version == LoadedModel(reference).version


def test_a_planner_makes_the_same_plan_with_either(pair) -> None:
    state = inputs(1, 1, 3)[0]
    plans = []
    for model in pair:

        def objective(candidates: np.ndarray, model=model) -> np.ndarray:
            states = model.rollout(state, candidates)
            return -np.square(states[..., 2] - 0.1).sum(-1).mean(0)

        planner = make_planner("pddm", 2, {"num_samples": 64, "horizon": 5, "iterations": 2})
        plans.append(planner.plan(objective, planner.initial_state(seed=4))[0])
    np.testing.assert_allclose(plans[1].actions, plans[0].actions, atol=1e-3)
    assert plans[1].predicted_return == pytest.approx(plans[0].predicted_return, rel=1e-3)


def test_arrays_of_another_size_are_refused(pair) -> None:
    ours = pair[1]
    for state, actions in (((5,), (4, 2)), ((4,), (3, 4, 2)), ((5,), (3, 4, 3)), ((2, 5), (3, 4, 2))):
        with pytest.raises(ModelError, match="do not fit"):
            ours.rollout(np.zeros(state), np.zeros(actions))
    for state, action in (((2, 4, 5), (5, 2)), ((3, 5, 5), (5, 2)), ((5,), (5, 2)), ((5, 5), (5, 3))):
        with pytest.raises(ModelError, match="do not fit"):
            ours.predict(np.zeros(state), np.zeros(action))


# --- files and devices -----------------------------------------------------------------------------------------------


def refused(path: Path, reason: str, **options) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        TorchEnsemble.load(path, **options)
    assert str(path) in str(caught.value)


def test_what_onnx_runtime_may_not_serve_is_refused_alike(file, tmp_path, toy_spec) -> None:
    refused(tmp_path / "none.onnx", "No such file")
    (tmp_path / "empty.onnx").touch()
    refused(tmp_path / "empty.onnx", "empty")
    (tmp_path / "cut.onnx").write_bytes(file.read_bytes()[:2000])
    refused(tmp_path / "cut.onnx", "cut")
    action = ActionSpace(toy_spec.action_names, np.full(2, -1.0), np.full(2, 1.0), np.zeros(2), np.full(2, 3.0), 0.1)
    task = SimpleNamespace(name="valve", state=VectorSpec(toy_spec.state_names, toy_spec.state_units))
    refused(file, "trained for task 'toy', not 'valve'", task=task, action=action)


@pytest.mark.usefixtures("own_int8")
def test_rounded_weights_are_refused(exported) -> None:
    refused(exported(precision="int8"), "rounded to int8; backend torch needs an fp32 file")


def rewritten(source: Path, path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(str(source))
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_graph_that_is_not_our_export_is_refused(file, tmp_path) -> None:
    """It may be a good model for ONNX Runtime; here its network is rebuilt from the tensors' names."""

    def rename(model: onnx.ModelProto) -> None:
        (tensor,) = (t for t in model.graph.initializer if t.name == "feature_std")
        tensor.name = "scale"
        for node in model.graph.node:
            node.input[:] = ["scale" if name == "feature_std" else name for name in node.input]

    other = rewritten(file, tmp_path / "other.onnx", rename)
    OnnxEnsemble.load(other)
    refused(other, "feature_std")


def test_a_network_that_does_not_predict_what_the_file_does_is_refused(file, tmp_path) -> None:
    def negate(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            if node.op_type == "Relu":
                node.op_type = "Sin"

    other = rewritten(file, tmp_path / "other.onnx", negate)
    OnnxEnsemble.load(other)
    refused(other, "differs from ONNX Runtime's")


def test_a_hidden_layer_of_another_width_is_refused(file, tmp_path, toy_spec) -> None:
    def narrow(model: onnx.ModelProto) -> None:
        spec = ModelSpec.from_metadata({e.key: e.value for e in model.metadata_props}, "")
        (value,) = spec.model_copy(update={"hidden": (16, 32)}).to_metadata().values()
        model.metadata_props[0].value = value

    refused(rewritten(file, tmp_path / "other.onnx", narrow), "another network")


def test_weights_of_unequal_sizes_are_refused(file, tmp_path) -> None:
    """Members may differ in width for ONNX Runtime, not in one batched product."""

    kept = {"layer0_weight": np.s_[:, :8], "layer0_bias": np.s_[:8], "layer1_weight": np.s_[:8]}

    def cut(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            member, _, name = tensor.name.partition("_")
            if member == "member1" and name in kept:
                value = np.ascontiguousarray(numpy_helper.to_array(tensor)[kept[name]])
                tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))

    other = rewritten(file, tmp_path / "other.onnx", cut)
    OnnxEnsemble.load(other)
    refused(other, "not a model exported by this version")


def test_a_device_that_is_not_there_is_refused(file) -> None:
    refused(file, "cannot be moved to toaster", device="toaster")
    if not torch.cuda.is_available():
        refused(file, "cannot be moved to cuda", device="cuda")


def test_auto_takes_the_gpu_where_there_is_one(file) -> None:
    assert TorchEnsemble.load(file).device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_failed_capture_is_recorded_and_the_rollout_goes_on_step_by_step(file, monkeypatch) -> None:
    reference, ours = OnnxEnsemble.load(file), TorchEnsemble.load(file)

    def fail(*_) -> None:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    monkeypatch.setattr(torch_rollout._Horizon, "capture", fail)
    ours._captures = True
    for _ in range(2):
        state, actions = inputs(7, 4, 0)
        same(ours.rollout(state, actions), reference.rollout(state, actions))
    assert ours.capture_failure == "operation not permitted when stream is capturing"


def test_a_device_that_fails_later_is_a_model_error(file, monkeypatch) -> None:
    ours = TorchEnsemble.load(file, device="cpu")

    def fail(*_) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch_rollout._Horizon, "_step_by_step", fail)
    with pytest.raises(ModelError, match=r"model\.onnx: cpu: CUDA out of memory"):
        ours.rollout(*inputs(3, 3, 0))


def test_the_loader_gives_the_backend_that_is_asked_for(file) -> None:
    before = torch.get_num_threads()
    try:
        assert isinstance(load_ensemble(file, "torch"), TorchEnsemble)
        assert torch.get_num_threads() == (before if torch.cuda.is_available() else 1)
    finally:
        torch.set_num_threads(before)
    assert isinstance(load_ensemble(file), OnnxEnsemble)


def test_the_benchmark_times_rollouts(file) -> None:
    figures = measure_torch(file, candidates=8, horizon=3, repeats=5)
    assert 0 < figures["wall_ms_median"] <= figures["wall_ms_p99"]
    assert figures["device"] == TorchEnsemble.load(file).device_name


# --- with a GPU ------------------------------------------------------------------------------------------------------


@needs_gpu
def test_a_captured_horizon_gives_what_single_steps_and_onnx_runtime_give(file) -> None:
    reference, captured, eager = OnnxEnsemble.load(file), *(TorchEnsemble.load(file, device="cuda") for _ in range(2))
    eager._captures = False
    for seed in range(5):
        for N, H in ((256, 7), (1, 1), (5, 3), (64, 12), (1, 2)):
            state, actions = inputs(N, H, seed)
            ours = captured.rollout(state, actions)
            np.testing.assert_allclose(ours, eager.rollout(state, actions), rtol=1e-6, atol=1e-6)
            same(ours, reference.rollout(state, actions))
    assert captured.capture_failure == ""


@needs_gpu
def test_a_second_model_is_captured_while_the_first_plans_on(file) -> None:
    import threading

    running, reference = TorchEnsemble.load(file, device="cuda"), OnnxEnsemble.load(file)
    running.warm_up(64, 7)
    state, actions = inputs(64, 7, 0)
    expected, other, stop = reference.rollout(state, actions), [], threading.Event()

    def load() -> None:
        for _ in range(5):
            other.append(TorchEnsemble.load(file, device="cuda"))
            other[-1].warm_up(64, 7)
        stop.set()

    thread = threading.Thread(target=load)
    thread.start()
    while not stop.is_set() and thread.is_alive():
        same(running.rollout(state, actions), expected)
    thread.join()
    assert [model.capture_failure for model in (running, *other)] == [""] * 6
    same(other[-1].rollout(state, actions), expected)
