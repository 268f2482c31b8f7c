# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Serving a model file: right numbers from right files, one kind of error with a reason from all others."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models import files as model_file
from mbrl_controller.models import onnx_validation as onnx_content
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.golden_samples import GoldenSamples
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.spec import METADATA_KEY, ModelSpec
from mbrl_controller.tasks.spaces import ActionSpace, VectorSpec

from ..linear_model import linear_model

E, S, A = 2, 3, 2
SPEC = ModelSpec(
    task="toy",
    robot="hand",
    state_names=("A.position", "B.position", "x.y"),
    state_units=("rad", "rad", "m"),
    action_names=("A", "B"),
    action_units=("rad", "rad"),
    action_lower=(-1.0, -1.0),
    action_upper=(1.0, 1.0),
    action_max_rate=(3.0, 3.0),
    control_period_s=0.1,
    ensemble_size=E,
    hidden=(4,),
    delta_scale=(0.1, 0.2, 0.3),
)
ACTION = ActionSpace(("A", "B"), np.full(2, -1.0), np.full(2, 1.0), np.zeros(2), np.full(2, 3.0), 0.1)
TASK = SimpleNamespace(name="toy", state=VectorSpec(SPEC.state_names, SPEC.state_units))
MIX = np.random.default_rng(0).normal(size=(E, A, S)).astype(np.float32)


def graph_model(spec: ModelSpec = SPEC, mix: np.ndarray = MIX, output: str = "next_state") -> onnx.ModelProto:
    """A linear model."""
    return linear_model(mix, spec.to_metadata(), output)


def written(path: Path, model: onnx.ModelProto | None = None) -> Path:
    path.write_bytes((model or graph_model()).SerializeToString())
    return path


@pytest.fixture
def good(tmp_path) -> Path:
    return written(tmp_path / "model.onnx")


def test_predict_takes_one_state_per_member_or_one_for_all(good) -> None:
    model, rng = OnnxEnsemble.load(good, task=TASK, action=ACTION), np.random.default_rng(1)
    state, action = rng.normal(size=(E, 5, S)), rng.normal(size=(5, A))
    assert np.allclose(model.predict(state, action), state + action @ MIX, atol=1e-5)
    shared = model.predict(state[0], action)
    assert shared.shape == (E, 5, S)
    assert np.allclose(shared, state[0] + action @ MIX, atol=1e-5)


@given(N=st.integers(1, 9), H=st.integers(1, 6), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_rollout_is_predict_repeated_on_each_members_own_state(tmp_path_factory, N, H, seed) -> None:
    model = OnnxEnsemble.load(written(tmp_path_factory.mktemp("m") / "model.onnx"))
    rng = np.random.default_rng(seed)
    start, actions = rng.normal(size=S), rng.normal(size=(N, H, A))
    states = model.rollout(start, actions)
    assert states.shape == (E, N, H, S)
    assert states.dtype == np.float32
    expected = start + np.cumsum(np.einsum("nha,eas->enhs", actions, MIX), axis=2)
    assert np.allclose(states, expected, atol=1e-4)


def test_rollouts_of_changing_size_share_one_buffer_and_stay_right(good) -> None:
    """A planner's chunks differ in size from tick to tick; nothing of an earlier one may show through."""
    model, rng = OnnxEnsemble.load(good), np.random.default_rng(2)
    model.warm_up(8, 4)
    buffer = model.rollout(np.zeros(S), np.zeros((8, 4, A))).base
    for N, H in ((8, 4), (3, 4), (5, 2), (1, 1), (8, 4)):
        start, actions = rng.normal(size=S), rng.normal(size=(N, H, A))
        states = model.rollout(start, actions)
        assert np.allclose(states, start + np.cumsum(np.einsum("nha,eas->enhs", actions, MIX), axis=2), atol=1e-4)
        assert np.shares_memory(states, buffer)


def test_it_tells_what_it_is(good) -> None:
    model = OnnxEnsemble.load(str(good), threads=2)
    assert model.spec == SPEC
    assert model.path == good
    assert model.digest == hashlib.sha256(good.read_bytes()).hexdigest()
    assert model.delta_scale.tolist() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("state", "action"), [((E, 4, S), (5, A)), ((E, 5, S + 1), (5, A)), ((S,), (5, A)), ((E + 1, 5, S), (5, A))]
)
def test_arrays_of_another_size_are_refused(good, state, action) -> None:
    with pytest.raises(ModelError, match="do not fit"):
        OnnxEnsemble.load(good).predict(np.zeros(state), np.zeros(action))


def test_a_rollout_of_another_size_is_refused(good) -> None:
    with pytest.raises(ModelError, match="do not fit"):
        OnnxEnsemble.load(good).rollout(np.zeros(S), np.zeros((4, A)))


# --- files that must not be served -----------------------------------------------------------------------------------


def refused(path: Path, reason: str, **options) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        OnnxEnsemble.load(path, **options)
    assert str(path) in str(caught.value)


def test_an_absent_file_a_folder_and_an_empty_file_are_refused(tmp_path) -> None:
    refused(tmp_path / "none.onnx", "No such file")
    refused(tmp_path, "cannot be read")
    (tmp_path / "empty.onnx").touch()
    refused(tmp_path / "empty.onnx", "empty")


def test_a_file_beyond_the_bound_is_refused_unread(good, monkeypatch) -> None:
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", 100)
    refused(good, "larger than")


@given(cut=st.floats(0, 0.999))
@settings(deadline=None, max_examples=40)
def test_every_truncation_is_refused(tmp_path_factory, cut) -> None:
    content = graph_model().SerializeToString()
    path = tmp_path_factory.mktemp("cut") / "model.onnx"
    path.write_bytes(content[: int(cut * len(content))])
    refused(path, str(path))


@given(noise=st.binary(min_size=1, max_size=300), at=st.floats(0, 1))
@example(noise=b"\x80", at=0.3046875)  # a name that is no UTF-8
@settings(deadline=None, max_examples=100)
def test_damage_raises_nothing_but_model_error(tmp_path_factory, noise, at) -> None:
    content = graph_model().SerializeToString()
    begin = int(at * len(content))
    path = tmp_path_factory.mktemp("noise") / "model.onnx"
    path.write_bytes(content[:begin] + noise + content[begin + len(noise) :])
    # Damage within the weights goes unseen here: the registry compares digests.
    with contextlib.suppress(ModelError):
        OnnxEnsemble.load(path)


def test_a_foreign_onnx_file_is_refused(tmp_path) -> None:
    model = graph_model()
    del model.metadata_props[:]
    refused(written(tmp_path / "foreign.onnx", model), "not an mbrl_controller model")


def test_another_format_version_is_named(tmp_path) -> None:
    model = graph_model()
    model.metadata_props[0].value = SPEC.model_dump_json().replace('"format_version":1', '"format_version":2')
    refused(written(tmp_path / "new.onnx", model), "model format 2, but this controller reads format 1")


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"task": 3}'])
def test_a_bad_description_is_refused(tmp_path, text) -> None:
    model = graph_model()
    model.metadata_props[0].value = text
    assert model.metadata_props[0].key == METADATA_KEY
    refused(written(tmp_path / "bad.onnx", model), "bad model description")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ensemble_size": 3}, "its inputs are"),
        ({"state_names": ("A.position", "x.y"), "state_units": ("rad", "m")}, "its inputs are"),
        ({"delta_scale": (1.0,)}, "delta_scale has 1 entries"),
        ({"action_upper": (1.0,)}, "action_upper has 1 entries"),
        ({"state_names": ("A.position", "A.position", "x.y")}, "state_names occur twice"),
        ({"periodic": (3,)}, "periodic entries"),
        ({"delta_scale": (1.0, 0.0, 1.0)}, "delta_scale must be positive"),
    ],
)
def test_a_description_that_contradicts_the_graph_is_refused(tmp_path, change, reason) -> None:
    model = graph_model(SPEC.model_copy(update=change))
    refused(written(tmp_path / "m.onnx", model), reason)


def test_an_output_of_another_name_is_refused(tmp_path) -> None:
    refused(written(tmp_path / "m.onnx", graph_model(output="delta")), "its outputs are")


def test_weights_that_are_not_numbers_are_refused(tmp_path) -> None:
    model = graph_model(mix=np.full((E, A, S), np.nan, np.float32))
    refused(written(tmp_path / "m.onnx", model), "not a finite")


def test_a_model_for_another_task_robot_or_period_is_refused(good) -> None:
    other = SimpleNamespace(name="valve", state=TASK.state)
    refused(good, "trained for task 'toy', not 'valve'", task=other, action=ACTION)
    slow = ActionSpace(("A", "B"), ACTION.lower, ACTION.upper, ACTION.neutral, ACTION.max_rate, 0.2)
    refused(good, "control period is 0.1 s, the contract's 0.2", task=TASK, action=slow)
    swapped = ActionSpace(("B", "A"), ACTION.lower, ACTION.upper, ACTION.neutral, ACTION.max_rate, 0.1)
    refused(good, "another order", task=TASK, action=swapped)


def external(tensor: onnx.TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def test_weights_in_another_file_are_refused_even_where_that_file_exists(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(MIX.tobytes())
    model = graph_model()
    external(model.graph.initializer[0], "weights.bin")
    refused(written(tmp_path / "m.onnx", model), "self-contained")


def test_external_weights_in_a_constant_or_a_branch_are_found(tmp_path) -> None:
    tensor = numpy_helper.from_array(MIX, "inner")
    external(tensor, "/dev/zero")
    constant = helper.make_node("Constant", [], ["unused"], value=tensor)
    branch = helper.make_graph([constant], "branch", [], [])
    for i, node in enumerate((constant, helper.make_node("If", ["c"], ["y"], then_branch=branch))):
        model = graph_model()
        model.graph.node.append(node)
        refused(written(tmp_path / f"{i}.onnx", model), "self-contained")


@pytest.mark.parametrize(
    ("operator", "domain", "named"),
    [("Loop", "", "'Loop'"), ("ConstantOfShape", "", "'ConstantOfShape'"), ("Add", "evil.org", "'Add' of 'evil.org'")],
)
def test_an_operator_that_is_not_ours_is_refused_wherever_it_is(tmp_path, operator, domain, named) -> None:
    node = helper.make_node(operator, ["state"], ["y"], domain=domain)
    branch = helper.make_graph([node], "branch", [], [])
    for i, other in enumerate((node, helper.make_node("Relu", ["c"], ["y"], then_branch=branch))):
        model = graph_model()
        model.graph.node.append(other)
        refused(written(tmp_path / f"{i}.onnx", model), f"unsupported ONNX operator {named}")


def test_sparse_weights_are_refused(tmp_path) -> None:
    """A few numbers in the file would become an array of any size."""
    model = graph_model()
    values = helper.make_tensor("few", TensorProto.FLOAT, [1], [1.0])
    at = helper.make_tensor("at", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, at, [10**12]))
    refused(written(tmp_path / "m.onnx", model), "sparse weights")


def test_a_file_of_very_many_parts_or_words_is_refused(tmp_path) -> None:
    model = graph_model()
    model.graph.node.extend([helper.make_node("Relu", ["state"], ["y"])] * (onnx_content.MAX_PARTS + 1))
    refused(written(tmp_path / "parts.onnx", model), "parts")
    model = graph_model()
    model.metadata_props.add(key="poem", value="x" * model_file.MAX_TEXT_BYTES)
    refused(written(tmp_path / "words.onnx", model), "KiB of metadata")


def test_what_was_read_is_loaded_whatever_becomes_of_the_file(good) -> None:
    file = ModelFile.read(good)
    good.write_bytes(b"exchanged")
    model = OnnxEnsemble.load(file)
    assert model.digest == file.sha256
    assert np.allclose(model.predict(np.zeros((1, S)), np.ones((1, A))), MIX.sum(1, keepdims=True), atol=1e-5)


# --- 8 bit ------------------------------------------------------------------------------------------------------------


def eight_bit(path: Path, off: float) -> Path:
    """A file that says it is an 8-bit one, and whose network's predictions on the rows it carries are `off` steps'
    changes away from what it computes."""
    spec, rng = SPEC.model_copy(update={"precision": "int8"}), np.random.default_rng(0)
    state, action = rng.normal(size=(20, S)).astype(np.float32), rng.normal(size=(20, A)).astype(np.float32)
    network = state + action @ MIX + off * rng.choice([-1.0, 1.0], (E, 20, S)) * np.array(SPEC.delta_scale)
    model = graph_model(spec)
    for key, value in GoldenSamples(state, action, network.astype(np.float32)).to_metadata().items():
        model.metadata_props.add(key=key, value=value)
    return written(path, model)


@pytest.mark.usefixtures("own_int8")
@pytest.mark.parametrize("off", [0.0, 0.02, 0.04])
def test_an_8_bit_file_near_its_network_is_served(tmp_path, off) -> None:
    OnnxEnsemble.load(eight_bit(tmp_path / "m.onnx", off))


@pytest.mark.usefixtures("own_int8")
@pytest.mark.parametrize("off", [0.06, 0.1, 0.5])
def test_an_8_bit_file_far_from_its_network_is_refused(tmp_path, off) -> None:
    refused(eight_bit(tmp_path / "m.onnx", off), f"by {off:.2g} of one step's change")


@pytest.mark.usefixtures("own_int8")
def test_an_8_bit_file_without_its_rows_is_refused(tmp_path) -> None:
    model = graph_model(SPEC.model_copy(update={"precision": "int8"}))
    refused(written(tmp_path / "m.onnx", model), "the rows it is checked on")


# --- more files that must not be served -------------------------------------------------------------------------------


def test_names_that_are_no_text_are_refused(tmp_path) -> None:
    content = graph_model().SerializeToString().replace(b"action", b"act\x80on")
    (tmp_path / "m.onnx").write_bytes(content)
    refused(tmp_path / "m.onnx", "names that are no text|ONNX Runtime cannot load it")


def test_a_model_that_breaks_when_it_is_run_is_refused(tmp_path) -> None:
    """It has the right face, but looks at the eighth row whatever comes."""
    model = graph_model()
    model.graph.initializer.append(numpy_helper.from_array(np.array([7], np.int64), "eighth"))
    model.graph.node.insert(0, helper.make_node("Gather", ["action", "eighth"], ["row"]))
    model.graph.node[1].input[0] = "row"
    refused(written(tmp_path / "m.onnx", model), "it cannot be run: ")


def test_a_single_weight_that_is_no_number_is_enough(tmp_path) -> None:
    mix = MIX.copy()
    mix[1, 0, 2] = np.nan
    refused(written(tmp_path / "m.onnx", graph_model(mix=mix)), "not a finite")


def test_numbers_of_another_size_are_refused(tmp_path) -> None:
    model = graph_model()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(MIX.astype(float), "mix"))
    refused(written(tmp_path / "m.onnx", model), r"inputs must be tensor\(float\), but state is tensor\(double\)")


@pytest.mark.parametrize(("periodic", "good"), [((0,), True), ((2,), True), ((-1,), False), ((3,), False)])
def test_periodic_entries_are_entries_of_the_state(tmp_path, periodic, good) -> None:
    path = written(tmp_path / "m.onnx", graph_model(SPEC.model_copy(update={"periodic": periodic})))
    if good:
        assert OnnxEnsemble.load(path).spec.periodic == periodic
    else:
        refused(path, "lie outside the state")


def test_without_a_scale_each_entry_counts_as_it_is(tmp_path) -> None:
    model = OnnxEnsemble.load(written(tmp_path / "m.onnx", graph_model(SPEC.model_copy(update={"delta_scale": ()}))))
    assert model.delta_scale.tolist() == [1.0] * S


def test_it_is_checked_against_a_task_only_where_both_task_and_hand_are_given(good) -> None:
    assert OnnxEnsemble.load(good, task=TASK).spec == OnnxEnsemble.load(good, action=ACTION).spec == SPEC


def test_warming_up_makes_the_room_that_plans_of_this_size_need(good) -> None:
    model = OnnxEnsemble.load(good)
    asked = []
    rollout = model.rollout
    model.rollout = lambda state, actions: asked.append((state.shape, actions.shape)) or rollout(state, actions)
    model.warm_up(8, 4)
    assert asked == [((S,), (8, 4, A))] * 3
    buffer = rollout(np.zeros(S), np.zeros((8, 4, A))).base
    assert buffer.size >= 5 * E * 8 * S
