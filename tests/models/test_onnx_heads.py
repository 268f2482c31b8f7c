# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Policies and values in ONNX Runtime: what they answer, and which files are refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.models.sandbox import check_in_sandbox

from ..linear_head import linear_head_bytes

MakeSpec = Callable[..., HeadSpec]
S, A = 20, 9


def file_of(spec: HeadSpec, *arguments, **options) -> ModelFile:
    return ModelFile.of(f"{spec.kind}.onnx", linear_head_bytes(spec, *arguments, **options))


@pytest.fixture
def mix(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(S, 3 * A)) * 0.2


@pytest.fixture
def policy(head_spec: MakeSpec, mix: np.ndarray) -> OnnxPolicy:
    goal = np.zeros((2, 3 * A))
    goal[1] = 0.1
    return OnnxPolicy.load(file_of(head_spec("policy", horizon=3), mix, goal))


@pytest.fixture
def value(head_spec: MakeSpec, mix: np.ndarray) -> OnnxValue:
    return OnnxValue.load(file_of(head_spec("value", members=4), mix[:, :4], np.array([[1.0] * 4, [2.0] * 4])))


def test_a_plan_is_that_of_its_state_and_of_the_goals_at_its_steps(
    policy: OnnxPolicy, mix: np.ndarray, rng: np.random.Generator
) -> None:
    state, goals = rng.normal(size=S), rng.normal(size=(6, 1))
    expected = np.clip(state @ mix + 0.1 * goals[3], -1, 1).reshape(3, A)
    np.testing.assert_allclose(policy.plan(state, goals), expected, atol=1e-5)
    states, each = rng.normal(size=(5, S)), rng.normal(size=(5, 4, 1))
    expected = np.clip(states @ mix + 0.1 * each[:, 3], -1, 1).reshape(5, 3, A)
    np.testing.assert_allclose(policy.plans(states, each), expected, atol=1e-5)
    shared = policy.plans(states, goals)
    np.testing.assert_allclose(shared, [policy.plan(s, goals) for s in states], atol=1e-6)
    assert policy.plans(states[:0], goals).shape == (0, 3, A)


def test_a_plan_stays_what_it_was_after_the_next_call(policy: OnnxPolicy) -> None:
    goals = np.zeros((4, 1))
    first = policy.plan(np.ones(S), goals)
    kept = first.copy()
    assert (policy.plan(-np.ones(S), goals) != first).any()
    np.testing.assert_array_equal(first, kept)


def test_threads_do_not_mix_their_plans(policy: OnnxPolicy, rng: np.random.Generator) -> None:
    goals, states = np.zeros((4, 1)), rng.normal(size=(4, S))
    expected = [policy.plan(state, goals) for state in states]
    wrong: list[int] = []

    def ask(i: int) -> None:
        for _ in range(300):
            if not np.array_equal(policy.plan(states[i], goals), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_policy_makes_no_action_of_what_is_no_number(policy: OnnxPolicy, bad: float) -> None:
    state, goals = np.zeros(S), np.zeros((4, 1))
    state[3] = bad
    for ask in (policy.plan, lambda s, g: policy.plans(np.stack([np.zeros(S), s]), g)):
        with pytest.raises(ModelError, match="not finite"):
            ask(state, goals)
        with pytest.raises(ModelError, match="not finite"):
            ask(np.zeros(S), np.full((4, 1), bad))
    goals[2] = bad  # which it does not look at
    policy.plan(np.zeros(S), goals)


def test_wrong_shapes_are_named(policy: OnnxPolicy, value: OnnxValue) -> None:
    goals = np.zeros((4, 1))
    for state, seen in ((np.zeros(S - 1), goals), (np.zeros((1, S)), goals), (np.zeros(S), goals[:, 0])):
        with pytest.raises(ModelError, match=r"policy\.onnx: state .* do not fit"):
            policy.plan(state, seen)
    with pytest.raises(ModelError, match="needs goals"):
        policy.plan(np.zeros(S), goals[:3])
    for ask in (policy.plans, value.values):
        for state, seen in ((np.zeros(S), goals), (np.zeros((2, S)), np.zeros((3, 4, 1))), (np.zeros((2, 1)), goals)):
            with pytest.raises(ModelError, match="do not fit"):
                ask(state, seen)
        with pytest.raises(ModelError, match="needs goals"):
            ask(np.zeros((2, S)), goals[:2])


def test_values_are_those_of_each_member_and_nan_where_a_candidate_diverged(
    value: OnnxValue, mix: np.ndarray, rng: np.random.Generator
) -> None:
    states, goals = rng.normal(size=(6, S)), rng.normal(size=(4, 1))
    found = value.values(states, goals)
    assert found.shape == (4, 6)
    np.testing.assert_allclose(found, (states @ mix[:, :4] + goals[0] + 2 * goals[3]).T, atol=1e-5)
    states[1, 0], states[4, 2] = np.nan, np.inf
    again = value.values(states, goals)
    assert np.isnan(again[:, [1, 4]]).all()
    np.testing.assert_allclose(np.delete(again, [1, 4], 1), np.delete(found, [1, 4], 1), atol=1e-6)
    assert np.isnan(value.values(states[:1], np.full((1, 4, 1), np.nan))).all()
    assert value.values(states[:0], goals).shape == (4, 0)


def test_a_head_of_another_robot_is_refused(head_spec: MakeSpec, mix: np.ndarray, valve: RobotContract) -> None:
    spec, other = head_spec("policy", horizon=3), contract_for("baoding", None)
    OnnxPolicy.load(file_of(spec, mix), task=valve.task, action=valve.action)
    with pytest.raises(ModelError, match=r"policy\.onnx: .*does not fit"):
        OnnxPolicy.load(file_of(spec, mix), task=other.task, action=other.action)


def test_a_file_of_another_kind_is_named(head_spec: MakeSpec, mix: np.ndarray, valve: RobotContract) -> None:
    policy, value = file_of(head_spec("policy", horizon=3), mix), file_of(head_spec("value", members=2), mix[:, :2])
    with pytest.raises(ModelError, match="it is a value, where a policy is needed"):
        OnnxPolicy.load(value)
    with pytest.raises(ModelError, match="it is a policy, where a value is needed"):
        OnnxValue.load(policy)
    with pytest.raises(ModelError, match="not an mbrl_controller model"):
        OnnxEnsemble.load(policy)
    with pytest.raises(ModelError, match="neither a policy nor a value"):
        OnnxPolicy.load(file_of(head_spec("policy", horizon=3), mix, metadata={}))


def test_a_file_that_is_not_what_it_says_is_refused(head_spec: MakeSpec, mix: np.ndarray) -> None:
    spec = head_spec("policy", horizon=3)
    good = linear_head_bytes(spec, mix)
    for change, reason in (
        ({"horizon": 2}, "its outputs are"),
        ({"goal_steps": (1, 2, 3)}, "its inputs are"),
    ):
        said = spec.model_copy(update=change).to_metadata()
        with pytest.raises(ModelError, match=reason):
            OnnxPolicy.load(file_of(spec, mix, metadata=said))
    for content, reason in (
        (b"", "empty"),
        (b"no onnx at all", "damaged"),
        (good[: len(good) // 2], "damaged|cannot load"),
    ):
        with pytest.raises(ModelError, match=reason):
            OnnxPolicy.load(ModelFile.of("policy.onnx", content))


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_found(head_spec: MakeSpec, mix: np.ndarray, weight: float) -> None:
    mix[0, 0] = weight
    with pytest.raises(ModelError, match="not a finite"):
        OnnxValue.load(file_of(head_spec("value", members=2), mix[:, :2]))


def test_a_policy_that_commands_beyond_the_joints_is_refused(head_spec: MakeSpec, mix: np.ndarray) -> None:
    with pytest.raises(ModelError, match="not within"):
        OnnxPolicy.load(file_of(head_spec("policy", horizon=3), mix, offset=1.5, limited=False))


@pytest.mark.parametrize("kind", ["policy", "value"])
def test_a_head_is_tried_in_a_process_of_its_own(head_spec: MakeSpec, mix: np.ndarray, kind: str) -> None:
    spec = head_spec("policy", horizon=3) if kind == "policy" else head_spec("value", members=2)
    width = 3 * A if kind == "policy" else 2
    check_in_sandbox(file_of(spec, mix[:, :width]), 10, 1, spec.kind)
    mix[0, 0] = np.nan
    with pytest.raises(ModelError, match=rf"{kind}\.onnx: .*not a finite"):
        check_in_sandbox(file_of(spec, mix[:, :width]), 10, 1, spec.kind)
    with pytest.raises(ModelError, match="not an mbrl_controller model"):
        check_in_sandbox(file_of(spec, mix[:, :width]), 10, 1)


def test_a_path_is_read_too(head_spec: MakeSpec, mix: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "p.onnx").write_bytes(linear_head_bytes(head_spec("policy", horizon=3), mix))
    assert OnnxPolicy.load(tmp_path / "p.onnx").spec.horizon == 3
    with pytest.raises(ModelError, match="cannot be read"):
        OnnxPolicy.load(tmp_path / "none.onnx")
