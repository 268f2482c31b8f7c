# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Policies and values: what they learn, and that their files say the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from mbrl_controller.base.errors import DatasetError, ModelError
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_data import PolicyData, RewardData, ValueData, bootstrap, hold_out
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.head_trainer import train_head
from mbrl_controller.dynamics.policy_network import PolicyNetwork
from mbrl_controller.dynamics.reward_network import RewardNetwork
from mbrl_controller.dynamics.value_network import ValueNetwork
from mbrl_controller.models.heads import HeadSpec
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_reward import OnnxReward
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.tasks.symmetry import Symmetry

QUICK = HeadTrainConfig(max_epochs=12, patience=3, batch=64)


def make_spec(kind: str, **more) -> HeadSpec:
    """A joint, a dial (periodic) and a speed; the goal is a dial's angle and a place, seen 1 and 3 steps ahead."""
    content = {
        "kind": kind,
        "task": "toy",
        "robot": "r",
        "state_names": ("A.position", "dial.position", "B.position"),
        "state_units": ("rad",) * 3,
        "periodic": (1,),
        "action_names": ("A", "B"),
        "action_units": ("rad", "rad"),
        "action_lower": (-1.0, -1.0),
        "action_upper": (1.0, 1.0),
        "action_max_rate": (3.0, 3.0),
        "action_neutral": (0.0, 0.0),
        "action_stroke": 0.9,
        "control_period_s": 0.1,
        "goal_names": ("dial.target", "x"),
        "goal_units": ("rad", "m"),
        "goal_periodic": (0,),
        "goal_steps": (1, 3),
        "hidden": (32, 32),
    }
    return HeadSpec(**content | ({"horizon": 2} if kind == "policy" else {"members": 3}) | more)


def inputs(rows: int = 1200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, goals and episodes of 20 rows."""
    rng = np.random.default_rng(seed)
    state = rng.uniform(-1, 1, (rows, 3)) * [1, np.pi, 1]
    goal = rng.uniform(-1, 1, (rows, 2, 2)) * [np.pi, 0.1]
    return state, goal, np.arange(rows) // 20


def policy_data(rows: int = 1200, **more) -> PolicyData:
    """Turn A by the dial's sine, B to the goal's place; the other action is the opposite."""
    state, goal, episode = inputs(rows)
    first = np.stack([np.sin(state[:, 1]), 8 * goal[:, 1, 1]], -1)
    plan = np.clip(np.stack([first, -first], 1), -1, 1)
    return PolicyData(state, goal, episode, plan, more.get("weight", np.ones(rows)))


def value_data(rows: int = 1200) -> ValueData:
    state, goal, episode = inputs(rows)
    return ValueData(state, goal, episode, 100 + 20 * np.cos(state[:, 1]) + 5 * state[:, 0])


def reward_data(rows: int = 1200) -> RewardData:
    """Near the goal's place, little commanded, and B's change counts."""
    state, goal, episode = inputs(rows)
    rng = np.random.default_rng(1)
    after, action = state + rng.normal(0, 0.05, state.shape), rng.uniform(-1, 1, (rows, 2))
    target = 5 * after[:, 0] + 40 * goal[:, 0, 1] - 2 * action[:, 1] + 30 * (after - state)[:, 2]
    return RewardData(state, goal[:, :1], episode, action, after, target)


def ahead(goal: np.ndarray) -> np.ndarray:
    """Goals of which a head that looks 1 and 3 steps ahead sees `goal`."""
    return np.stack([goal[:, 0], np.full_like(goal[:, 0], 7.0), goal[:, 1]], 1)


def test_a_policy_learns_plans_and_its_file_gives_the_same(tmp_path: Path) -> None:
    data, spec = policy_data(), make_spec("policy")
    fitted = train_head(data, spec, QUICK)
    assert fitted.metrics["action_rmse"] < 0.3 * fitted.metrics["action_std"]
    assert all(np.isfinite(v) for v in fitted.metrics.values())
    file = export_head(fitted.network, tmp_path / "policy.onnx", spec.model_copy(update={"version": "v0007"}))
    policy = OnnxPolicy.load(tmp_path / "policy.onnx")
    assert (policy.spec.version, policy.digest) == ("v0007", file.sha256)
    np.testing.assert_allclose(
        policy.plans(data.state, ahead(data.goal)), fitted.network.plans(data.state, data.goal), atol=1e-5
    )
    assert np.abs(policy.plans(data.state * 1e3, ahead(data.goal) * 1e3)).max() <= 1


def test_a_value_learns_returns_and_its_file_gives_the_same(tmp_path: Path) -> None:
    data, spec = value_data(), make_spec("value", discount=0.9)
    fitted = train_head(data, spec, QUICK)
    assert fitted.metrics["value_rmse"] < 0.3 * fitted.metrics["value_std"]
    assert fitted.metrics["value_correlation"] > 0.95
    export_head(fitted.network, tmp_path / "value.onnx")
    value = OnnxValue.load(tmp_path / "value.onnx")
    found = value.values(data.state, ahead(data.goal))
    assert found.shape == (3, len(data))
    np.testing.assert_allclose(found, fitted.network.values(data.state, data.goal), rtol=1e-5)
    assert (found.std(axis=0) > 0).all()  # members learnt from other draws


@pytest.mark.parametrize("layout", [{}, {"periodic": (), "goal_periodic": ()}, {"periodic": (0, 1, 2)}])
def test_a_reward_learns_labels_and_its_file_gives_the_same(tmp_path: Path, layout: dict) -> None:
    data, spec = reward_data(), make_spec("reward", goal_steps=(1,), **layout)
    fitted = train_head(data, spec, QUICK)
    assert fitted.metrics["reward_rmse"] < 0.3 * fitted.metrics["reward_std"]
    assert fitted.metrics["reward_correlation"] > 0.95
    export_head(fitted.network, tmp_path / "reward.onnx")
    reward = OnnxReward.load(tmp_path / "reward.onnx")
    found = reward.rewards(data.state, data.action, data.next_state, data.goal[:, 0])
    assert found.shape == (3, len(data))
    expected = fitted.network.rewards(data.state, data.action, data.next_state, data.goal)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert (found.std(axis=0) > 0).all()


def test_a_reward_has_no_number_for_steps_that_are_none_and_names_other_sizes(tmp_path: Path) -> None:
    spec, data = make_spec("reward", goal_steps=(1,)), reward_data(40)
    network = RewardNetwork(spec)
    export_head(network, tmp_path / "reward.onnx")
    reward = OnnxReward.load(tmp_path / "reward.onnx")
    given = [data.state.copy(), data.action.copy(), data.next_state.copy(), data.goal[:, 0].copy()]
    for row, value in enumerate(given):
        value[row, 0] = [np.nan, np.inf, -np.inf, np.nan][row]
    assert np.isnan(reward.rewards(*given)).all(axis=0)[:5].tolist() == [True] * 4 + [False]
    with pytest.raises(ModelError, match="do not fit its description"):
        reward.rewards(data.state, data.action, data.next_state, data.goal[:, 0, :1])
    with pytest.raises(ModelError, match="do not fit its description"):
        reward.rewards(data.state, data.action[:5], data.next_state, data.goal[:, 0])
    with pytest.raises(ModelError, match="a reward network cannot be a value"):
        RewardNetwork(make_spec("value"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"goal_steps": (1, 3)}, "sees the goal at the end of its step"), ({"horizon": 2}, "a reward gives no plan")],
)
def test_a_reward_is_of_one_step(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_spec("reward", **{"goal_steps": (1,)} | fields)


@pytest.mark.parametrize("limit", ["clip", "tanh"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"periodic": ()},
        {"goal_periodic": ()},
        {"periodic": (0, 1, 2), "goal_periodic": (0, 1)},
        {"hidden": ()},
        {"goal_steps": (50,), "horizon": 1},
    ],
    ids=str,
)
def test_any_layout_is_exported_right(tmp_path: Path, limit: str, layout: dict) -> None:
    spec = make_spec("policy", **layout)
    network = PolicyNetwork(spec, limit=limit)  # type: ignore[arg-type]
    state, goal, _ = inputs(100)
    network.fit_scaling(state, goal[:, : len(spec.goal_steps)])
    export_head(network, tmp_path / "policy.onnx")  # compares


@pytest.mark.parametrize("members", [1, 4])
def test_a_value_of_any_size_is_exported_right(tmp_path: Path, members: int) -> None:
    network = ValueNetwork(make_spec("value", members=members))
    network.fit_targets(np.array([-500.0, 300.0]))
    export_head(network, tmp_path / "value.onnx")
    assert OnnxValue.load(tmp_path / "value.onnx").spec.members == members


def test_a_turn_of_a_periodic_angle_changes_nothing() -> None:
    state, goal, _ = inputs(50)
    for network in (PolicyNetwork(make_spec("policy")), ValueNetwork(make_spec("value"))):
        with torch.no_grad():
            turned, aim = state + np.array([0, 2 * np.pi, 0]), goal + np.array([2 * np.pi, 0])
            args = [torch.tensor(v, dtype=torch.float32) for v in (state, goal, turned, aim)]
            np.testing.assert_allclose(network(args[0], args[1]), network(args[2], args[3]), atol=1e-4)
            moved = network(args[0] + torch.tensor([2 * np.pi, 0, 0]), args[1])
            assert not np.allclose(network(args[0], args[1]), moved, atol=1e-3)


def test_it_sees_each_entry_and_each_step_of_the_goal() -> None:
    state, goal, _ = inputs(20)
    for network in (PolicyNetwork(make_spec("policy")), ValueNetwork(make_spec("value"))):
        ask = network.plans if isinstance(network, PolicyNetwork) else network.values
        before = ask(state, goal)
        for k in range(2):
            for i in range(2):
                other = goal.copy()
                other[:, k, i] += 0.3
                assert not np.allclose(ask(state, other), before)
        for i in range(3):
            other = state.copy()
            other[:, i] += 0.3
            assert not np.allclose(ask(other, goal), before)


def test_the_same_seed_is_the_same_file(tmp_path: Path) -> None:
    def files(seed: int) -> tuple[bytes, bytes]:
        config = HeadTrainConfig(max_epochs=2, seed=seed, batch=256)
        policy = train_head(policy_data(400), make_spec("policy"), config).network
        value = train_head(value_data(400), make_spec("value"), config).network
        return export_head(policy, tmp_path / "p").content, export_head(value, tmp_path / "v").content

    first = files(3)
    torch.manual_seed(5)
    assert files(3) == first
    assert all(a != b for a, b in zip(files(4), first, strict=True))


def test_steps_and_rows_count_by_their_weight() -> None:
    """Where one state has two plans, the heavier one is learnt."""
    data = policy_data(600)
    opposite = dataclasses.replace(data, plan=-data.plan)
    both = PolicyData(
        *(np.concatenate([getattr(data, n), getattr(opposite, n)]) for n in ("state", "goal", "episode", "plan")),
        np.repeat([1.0, 0.0], 600),
    )
    apart = np.tile(hold_out(data.episode, 0.1, 0), 2)
    fitted = train_head(both, make_spec("policy"), QUICK, held_out=apart)
    right = fitted.network.plans(data.state, data.goal)
    assert np.abs(right - data.plan).mean() < 0.3 * np.abs(data.plan).mean()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["state", "goal", "plan", "weight"])
def test_rows_that_are_no_numbers_are_named(name: str, bad: float) -> None:
    data = policy_data(40)
    value = np.array(getattr(data, name), dtype=float)
    value[7] = bad
    with pytest.raises(DatasetError, match=rf"{name} of row 7 \(episode 0\) is not finite"):
        train_head(dataclasses.replace(data, **{name: value}), make_spec("policy"), QUICK)


def test_data_that_does_not_fit_is_named() -> None:
    data, spec = policy_data(40), make_spec("policy")
    for change, reason in (
        ({"plan": data.plan * 1.5}, "outside"),
        ({"plan": data.plan[:, :1]}, "plan has shape"),
        ({"goal": data.goal[:, :1]}, "goal has shape"),
        ({"episode": data.episode[:3]}, "episode has shape"),
        ({"weight": -data.weight}, "weight"),
        ({"weight": 0 * data.weight}, "weight"),
    ):
        with pytest.raises(DatasetError, match=reason):
            train_head(dataclasses.replace(data, **change), spec, QUICK)
    with pytest.raises(DatasetError, match="held_out"):
        train_head(data, spec, QUICK, held_out=np.zeros(3, dtype=bool))
    nothing = PolicyData(data.state[:0], data.goal[:0], data.episode[:0], data.plan[:0], data.weight[:0])
    with pytest.raises(DatasetError, match="no rows"):
        train_head(nothing, spec, QUICK)
    with pytest.raises(DatasetError, match="a policy cannot be trained on data for a value"):
        train_head(value_data(40), spec.model_copy(update={"horizon": 1}), QUICK)


def test_one_row_is_learnt_and_exported(tmp_path: Path) -> None:
    one = policy_data(1)
    fitted = train_head(one, make_spec("policy"), HeadTrainConfig(max_epochs=200, patience=50))
    np.testing.assert_allclose(fitted.network.plans(one.state, one.goal), one.plan, atol=0.02)
    export_head(fitted.network, tmp_path / "policy.onnx")
    value = train_head(value_data(1), make_spec("value"), QUICK)
    assert np.isfinite(list(value.metrics.values())).all()
    export_head(value.network, tmp_path / "value.onnx")


def test_a_return_that_never_changes_is_learnt_as_it_is() -> None:
    data = dataclasses.replace(value_data(100), target=np.full(100, -250.0))
    fitted = train_head(data, make_spec("value"), QUICK)
    np.testing.assert_allclose(fitted.network.values(data.state, data.goal), -250, atol=1)
    assert "value_correlation" not in fitted.metrics


def test_it_stops_when_asked_and_keeps_the_best_so_far() -> None:
    calls = iter(range(1000))
    fitted = train_head(policy_data(400), make_spec("policy"), QUICK, should_stop=lambda: next(calls) > 8)
    assert fitted.stopped
    assert len(fitted.validation_loss) < 4
    assert torch.get_num_threads() == 1


def test_episodes_are_held_out_whole() -> None:
    episode = np.repeat(np.arange(10), 7)
    apart = hold_out(episode, 0.2, 0)
    assert len(set(episode[apart])) == 2
    assert not set(episode[apart]) & set(episode[~apart])
    assert hold_out(episode, 0.001, 0).any()
    assert not hold_out(episode, 0.999, 0).all()
    assert not hold_out(np.zeros(5, dtype=int), 0.5, 0).any()


def test_members_draw_whole_episodes_each_its_own() -> None:
    episode = np.repeat([3, 5, 9, 11], [2, 6, 4, 8])
    pools = bootstrap(episode, 5, 0)
    assert pools.shape == (5, 20)
    assert len({tuple(np.sort(pool)) for pool in pools}) > 1
    np.testing.assert_array_equal(pools, bootstrap(episode, 5, 0))
    assert set(bootstrap(np.zeros(3, dtype=int), 2, 0).ravel()) == {0, 1, 2}


def test_layers_of_an_actor_that_was_trained_elsewhere_are_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    network = PolicyNetwork(make_spec("policy", hidden=(8,), horizon=1), limit="tanh")
    F = len(network.feature_units)
    layers = [(rng.normal(size=(F, 8)), rng.normal(size=8)), (rng.normal(size=(8, 2)), rng.normal(size=2))]
    network.load_layers(layers)
    state, goal, _ = inputs(10)
    with torch.no_grad():
        x = network.scaled_features(*(torch.tensor(v, dtype=torch.float32) for v in (state, goal))).numpy()
    expected = np.tanh(np.maximum(x @ layers[0][0] + layers[0][1], 0) @ layers[1][0] + layers[1][1])
    np.testing.assert_allclose(network.plans(state, goal)[:, 0], expected, atol=1e-5)
    export_head(network, tmp_path / "policy.onnx")
    with pytest.raises(ModelError, match="do not fit"):
        network.load_layers(layers[:1])


def test_a_network_of_no_numbers_is_not_written(tmp_path: Path) -> None:
    network = PolicyNetwork(make_spec("policy"))
    with torch.no_grad():
        network.biases[-1].fill_(float("nan"))
    with pytest.raises(ModelError, match="not a finite"):
        export_head(network, tmp_path / "policy.onnx")
    assert not (tmp_path / "policy.onnx").exists()


MIRROR = Symmetry(
    "mirror",
    (0, 1, 2),
    (0, 1),
    (1.0, -1.0, 1.0),
    (-1.0, -1.0),
    goal=(0, 1),
    goal_sign=(-1.0, -1.0),
)


def test_a_mirrored_row_has_the_mirrored_goal_and_plan() -> None:
    data, spec = policy_data(40), make_spec("policy", action_lower=(-1.0, -2.0), action_upper=(1.0, 2.0))
    image = data.mirrored(MIRROR, spec)
    np.testing.assert_allclose(image.state, data.state * [1, -1, 1])
    np.testing.assert_allclose(image.goal, -data.goal)
    np.testing.assert_allclose(image.plan, -data.plan, atol=1e-12)
    np.testing.assert_array_equal(image.episode, data.episode)


def test_what_is_true_on_one_side_is_learnt_on_the_other() -> None:
    """All rows have the dial on one side; mirrored ones teach the other."""
    data = policy_data(1200)
    side = data.state[:, 1] > 0
    half = PolicyData(*(getattr(data, n)[side] for n in ("state", "goal", "episode", "plan", "weight")))
    spec = make_spec("policy")
    errors = []
    for symmetries in ((), (MIRROR, Symmetry("of no goals", (0, 1, 2), (0, 1), (-1.0, 1.0, 1.0), (1.0, 1.0)))):
        network = train_head(half, spec, QUICK, symmetries=symmetries).network
        errors.append(np.abs(network.plans(data.state[~side], data.goal[~side]) - data.plan[~side]).mean())
    assert errors[1] < 0.5 * errors[0]
    state, goal, episode = inputs(1200)
    returns = ValueData(state, goal, episode, 50 * np.cos(state[:, 1]))
    fitted = train_head(returns, make_spec("value"), QUICK, symmetries=(MIRROR,))
    assert fitted.metrics["value_rmse"] < 0.4 * fitted.metrics["value_std"]
