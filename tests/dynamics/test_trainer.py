# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Training: learns known physics, keeps the best, resumes to the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mbrl_controller.base.errors import DatasetError
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.loss import RolloutLoss
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.trainer import EnsembleTrainer, FitResult, TrainCallbacks, torch_device
from mbrl_controller.dynamics.validation import evaluate
from mbrl_controller.dynamics.weights import load_arrays, save_arrays
from mbrl_controller.tasks.base import Symmetry

QUICK = TrainConfig(
    ensemble_size=2,
    hidden=(32, 32),
    batch=64,
    max_epochs=3,
    horizon=3,
    horizon_epochs=3,
    patience=10,
    seed=1,
    device="cpu",
)


def fit(train, validation, spec, symmetries=(), config=QUICK, on_epoch_end=None, should_stop=None, **options):
    given = {"on_epoch_end": on_epoch_end, "should_stop": should_stop}
    callbacks = TrainCallbacks(**{name: call for name, call in given.items() if call is not None})
    return EnsembleTrainer(spec, config, symmetries, callbacks=callbacks, **options).fit(train, validation)


def same_weights(a: FitResult, b: FitResult) -> bool:
    left, right = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def small(toy_record) -> tuple[TransitionSet, TransitionSet]:
    return toy_record(12, 30).split_by_episode(0.2)


@pytest.fixture(scope="module")
def quick(small, toy_spec) -> FitResult:
    return fit(*small, toy_spec, (), QUICK)


@pytest.fixture(scope="module")
def learned(toy_record, toy_spec) -> FitResult:
    config = QUICK.model_copy(update={"max_epochs": 40, "learning_rate": 3e-3, "horizon": 1})
    return fit(*toy_record(60, 50).split_by_episode(0.1), toy_spec, (), config)


def test_known_physics_is_learned_also_where_the_dial_wraps(learned, toy_record, toy_spec) -> None:
    fresh = toy_record(20, 40, seed=9)
    metrics = evaluate(learned.model.predictor(), fresh, toy_spec, horizon=5)
    assert metrics["one_step_nrmse"] < 0.15 * metrics["stay_one_step_nrmse"]
    assert metrics["horizon_nrmse"] < 0.3 * metrics["stay_horizon_nrmse"]
    wraps = np.flatnonzero(np.abs(fresh.next_state[:, 4] - fresh.state[:, 4]) > np.pi)
    assert len(wraps) > 20
    predicted = learned.model.predictor()(np.repeat(fresh.state[None, wraps], 2, axis=0), fresh.action[wraps])
    error = toy_spec.state.difference(predicted, fresh.next_state[wraps])[..., 4]
    assert np.sqrt(np.mean(error**2)) < 0.1


def test_the_rollout_stage_sees_through_sensor_noise(toy_record, toy_spec) -> None:
    # Equal epochs in all: one-step targets are mostly noise where the box is tracked badly, five-step ones are not.
    E, T = 40, 40
    clean, fresh = toy_record(E, T), toy_record(10, 40, seed=9)
    noise = np.random.default_rng(0).normal(size=(E, T + 1, 5)) * [0, 0, 0.03, 0.2, 0]
    state, next_state = (n.reshape(E * T, 5) for n in (noise[:, :-1], noise[:, 1:]))
    data = TransitionSet(clean.state + state, clean.action, clean.next_state + next_state, clean.episode, clean.step,
                         clean.episode_keys).split_by_episode(0.2)  # fmt: skip
    errors = []
    for stages in ({"horizon": 1, "max_epochs": 30}, {"horizon": 5, "max_epochs": 15, "horizon_epochs": 15}):
        config = QUICK.model_copy(update={"learning_rate": 3e-3, "horizon_learning_rate": 1e-3, **stages})
        predict = fit(*data, toy_spec, (), config).model.predictor()
        errors.append(evaluate(predict, fresh, toy_spec, horizon=5)["horizon_nrmse"])
    assert errors[1] < 0.75 * errors[0]


def test_a_seed_reproduces_a_run_bit_for_bit(quick, small, toy_spec) -> None:
    again = fit(*small, toy_spec, (), QUICK)
    assert same_weights(quick, again)
    assert quick.history == again.history
    assert not same_weights(quick, fit(*small, toy_spec, (), QUICK.model_copy(update={"seed": 2})))


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5])
def test_resuming_equals_an_uninterrupted_run(quick, small, toy_spec, tmp_path, epochs) -> None:
    checkpoint = tmp_path / "run.npz"
    seen = 0

    def count(report) -> None:
        nonlocal seen
        seen += report.epoch > 0

    part = fit(
        *small, toy_spec, (), QUICK, checkpoint=checkpoint, on_epoch_end=count, should_stop=lambda: seen >= epochs
    )
    assert part.stopped
    assert part.history == quick.history[: len(part.history)]
    whole = fit(*small, toy_spec, (), QUICK, checkpoint=checkpoint)
    assert not whole.stopped
    assert whole.history == quick.history
    assert whole.best_epoch == quick.best_epoch
    assert same_weights(whole, quick)
    finished = fit(*small, toy_spec, (), QUICK, checkpoint=checkpoint, on_epoch_end=lambda r: pytest.fail("trained"))
    assert same_weights(finished, quick)


def test_a_checkpoint_of_version_0_1_is_continued(quick, small, toy_spec, tmp_path) -> None:
    """Two entries had other names then."""
    checkpoint, seen = tmp_path / "run.npz", []
    fit(*small, toy_spec, checkpoint=checkpoint, on_epoch_end=seen.append, should_stop=lambda: len(seen) > 2)
    arrays, note = load_arrays(checkpoint)
    note["since_better"] = note.pop("epochs_without_improvement")
    for report in note["history"]:
        report["held_out_loss"] = report.pop("validation_loss")
    save_arrays(checkpoint, arrays, note)
    whole = fit(*small, toy_spec, checkpoint=checkpoint)
    assert whole.history == quick.history
    assert same_weights(whole, quick)


def test_stopping_within_an_epoch_loses_only_that_epoch(quick, small, toy_spec, tmp_path) -> None:
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == 9

    part = fit(*small, toy_spec, (), QUICK, checkpoint=tmp_path / "run.npz", should_stop=stop)
    assert part.stopped
    assert [r.epoch for r in part.history] == [0, 1]
    assert same_weights(fit(*small, toy_spec, (), QUICK, checkpoint=tmp_path / "run.npz"), quick)


def test_a_checkpoint_of_another_run_is_refused(small, toy_spec, tmp_path) -> None:
    checkpoint = tmp_path / "run.npz"
    fit(*small, toy_spec, (), QUICK, checkpoint=checkpoint)
    with pytest.raises(DatasetError, match=r"run\.npz belongs to another run"):
        fit(*small, toy_spec, (), QUICK.model_copy(update={"batch": 32}), checkpoint=checkpoint)
    with pytest.raises(DatasetError, match="another run"):
        fit(*small[::-1], toy_spec, (), QUICK, checkpoint=checkpoint)


def test_early_stop_returns_each_members_best_weights(small, toy_record, toy_spec) -> None:
    # The validation episodes obey no physics: whatever is learned soon makes their loss worse.
    train, _ = small

    def noise(state: np.ndarray, target: np.ndarray) -> np.ndarray:
        return state + np.random.default_rng(len(state)).normal(size=state.shape) * 0.3

    wrong = toy_record(5, 30, seed=4, physics=noise)
    config = QUICK.model_copy(update={"max_epochs": 40, "patience": 3, "horizon": 1, "learning_rate": 1e-2})
    result = fit(train, wrong, toy_spec, (), config)
    assert result.history[-1].epoch < 40
    assert result.history[-1].epoch - max(result.best_epoch) == 3
    for member, epoch in enumerate(result.best_epoch):
        losses = [r.validation_loss[member] for r in result.history]
        assert losses[epoch] == min(losses)
    # The returned weights really are those of that epoch: judged anew, they give that epoch's loss.
    no_training = config.model_copy(update={"max_epochs": 0})
    judged = fit(train, wrong, toy_spec, (), no_training, init=result.model.state_dict())
    assert np.allclose(judged.history[0].validation_loss, result.history[-1].best_loss, rtol=1e-3)


def test_a_warm_start_begins_where_the_other_ended(learned, toy_record, toy_spec) -> None:
    more = toy_record(12, 30, seed=11).split_by_episode(0.2)
    warm = fit(*more, toy_spec, (), QUICK, init=learned.model.state_dict())
    cold = fit(*more, toy_spec, (), QUICK)
    assert max(warm.history[0].validation_loss) < 0.1 * min(cold.history[0].validation_loss)
    assert max(warm.history[-1].best_loss) < min(cold.history[-1].best_loss)


def test_symmetry_teaches_what_was_never_seen(toy_record, toy_spec) -> None:
    # A mirror world in which joints A and B trade places: the box answers B as it answered A.
    alike = toy_spec.model_copy(update={"state_names": ("A.position", "B.position", "a.y", "b.y"), "periodic": (),
                                        "state_units": ("rad", "rad", "m", "m")})  # fmt: skip
    rng = np.random.default_rng(0)
    T = 1500
    state = rng.uniform(-0.5, 0.5, (T, 4))
    target = state[:, :2] + rng.uniform(-0.3, 0.3, (T, 2)) * [1.0, 0.0]  # only A ever moves
    move = target - state[:, :2]

    def answer(state: np.ndarray, move: np.ndarray) -> np.ndarray:
        return state + np.column_stack([move, 2 * move])

    data = TransitionSet(state, target, answer(state, move), np.arange(T) // 50, np.arange(T) % 50,
                         tuple(map(str, range(T // 50))))  # fmt: skip
    swap = Symmetry("swap", (1, 0, 3, 2), (1, 0))
    config = QUICK.model_copy(update={"max_epochs": 30, "horizon": 1})
    only_b = np.column_stack([np.zeros(200), rng.uniform(-0.3, 0.3, 200)])
    start = rng.uniform(-0.5, 0.5, (200, 4))
    errors = {}
    for name, symmetries in (("none", ()), ("swap", (swap,))):
        model = fit(*data.split_by_episode(0.1), alike, symmetries, config).model
        predicted = model.predictor()(np.repeat(start[None], 2, axis=0), start[:, :2] + only_b)
        errors[name] = np.sqrt(np.mean((predicted - answer(start, only_b))[..., 3] ** 2))
    assert errors["swap"] < 0.3 * errors["none"]


def test_loss_weights_favour_the_entries_they_name(small, toy_spec) -> None:
    config = QUICK.model_copy(update={"horizon": 1, "max_epochs": 8})
    plain = fit(*small, toy_spec, (), config).model.predictor()
    only = fit(
        *small, toy_spec, (), config.model_copy(update={"loss_weights": {"A": 0.0, "B": 0.0, "dial": 0.0}})
    ).model.predictor()
    box, joint = "one_step_rmse.box.velocity", "one_step_rmse.joints.position"
    errors = [evaluate(predict, small[1], toy_spec, 3) for predict in (plain, only)]
    assert errors[1][box] < errors[0][box]
    assert errors[1][joint] > errors[0][joint]
    with pytest.raises(DatasetError, match="cube"):
        fit(*small, toy_spec, (), config.model_copy(update={"loss_weights": {"cube": 2.0}}))


def test_bootstrap_members_see_other_rows(small, toy_spec, monkeypatch) -> None:
    """Each draws its own, with replacement, and keeps to them in every epoch."""
    config = QUICK.model_copy(update={"bootstrap": True, "horizon": 1, "max_epochs": 2})
    seen: list[torch.Tensor] = []
    whole = RolloutLoss.__call__

    def watched(self, rows, windows, scale, noise):
        if self.model.training:
            seen.append(windows[..., 0])
        return whole(self, rows, windows, scale, noise)

    monkeypatch.setattr(RolloutLoss, "__call__", watched)
    first = fit(*small, toy_spec, (), config)
    T = len(small[0])
    epochs = torch.cat(seen, 1).split(T, 1)
    drawn = [[sorted(member.tolist()) for member in epoch] for epoch in epochs]
    assert len(drawn) == 2
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]
    for rows in drawn[0]:
        assert len(set(rows)) == pytest.approx((1 - np.exp(-1)) * T, rel=0.1)
    assert same_weights(first, fit(*small, toy_spec, (), config))


STILL = QUICK.model_copy(update={"learning_rate": 1e-12, "horizon": 1, "input_noise": 0.0, "target_noise": 0.0})


def train_losses(small, toy_spec, init=None, **changes: object) -> list[float]:
    """Of the epochs of a model that learns nothing more."""
    history = fit(*small, toy_spec, (), STILL.model_copy(update=changes), init=init).history
    return [report.train_loss for report in history if report.train_loss is not None]


def test_every_epoch_has_noise_and_an_order_of_its_own(small, toy_spec, monkeypatch) -> None:
    quiet = train_losses(small, toy_spec)
    assert quiet == pytest.approx([quiet[0]] * 3, rel=1e-4)
    noisy = train_losses(small, toy_spec, target_noise=1.0)
    assert len({round(loss / quiet[0], 3) for loss in noisy}) == 3
    firsts = []
    whole = RolloutLoss.__call__

    def watched(self, rows, windows, scale, noise):
        if self.model.training:
            firsts.append(tuple(windows[0, :5, 0].tolist()))
        return whole(self, rows, windows, scale, noise)

    monkeypatch.setattr(RolloutLoss, "__call__", watched)
    train_losses(small, toy_spec)
    assert len(set(firsts)) == len(firsts)


def test_noise_on_targets_and_on_inputs_have_their_own_sizes(learned, small, toy_spec) -> None:
    """That on targets adds its square; that on inputs what the model answers to it, which grows with its square."""
    init = learned.model.state_dict()

    def rise(**noise: float) -> float:
        return float(np.mean(train_losses(small, toy_spec, init, max_epochs=10, **noise))) - quiet

    quiet = train_losses(small, toy_spec, init)[0]
    assert rise(target_noise=0.5) == pytest.approx(0.25, rel=0.05)
    assert rise(target_noise=1.0) == pytest.approx(1.0, rel=0.05)
    little, more = rise(input_noise=0.05), rise(input_noise=0.1)
    assert more > 0.001
    assert more == pytest.approx(4 * little, rel=0.3)
    assert rise(input_noise=0.1, target_noise=0.5) == pytest.approx(more + 0.25, rel=0.05)


def test_weight_decay_makes_smaller_weights(small, toy_spec) -> None:
    def size(decay: float) -> float:
        model = fit(*small, toy_spec, (), QUICK.model_copy(update={"weight_decay": decay, "horizon": 1})).model
        return sum(float(p.detach().square().sum()) for p in model.parameters())

    assert size(1.0) < 0.99 * size(0.0)


def test_an_epoch_of_rollouts_takes_no_more_steps_than_its_share(toy_record, toy_spec) -> None:
    """k steps of a rollout cost k times one: an epoch draws 1/k of the windows."""
    data = toy_record(20, 60).split_by_episode(0.2)
    config = QUICK.model_copy(update={"max_epochs": 1, "horizon_epochs": 2, "patience": 100})
    asked = {1: 0, 3: 0}
    stage = 1

    def count() -> bool:
        asked[stage] += 1
        return False

    def next_stage(report) -> None:
        nonlocal stage
        stage = 3 if report.stage == "3-step" else 1

    fit(*data, toy_spec, (), config, should_stop=count, on_epoch_end=next_stage)
    windows = len(data[0].windows(3))
    batches = int(np.ceil(windows // 3 / 64))
    assert asked[3] == 2 * (batches + 1)  # once more after each epoch
    assert asked[1] == int(np.ceil(len(data[0]) / 64)) + 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_the_same(quick, small, toy_spec, tmp_path) -> None:
    seen: list[int] = []
    options, config = {"checkpoint": tmp_path / "run.npz"}, QUICK.model_copy(update={"device": "cuda"})
    fit(
        *small,
        toy_spec,
        (),
        config,
        on_epoch_end=lambda r: seen.append(1),
        should_stop=lambda: len(seen) > 2,
        **options,
    )
    result = fit(*small, toy_spec, (), config, **options)
    losses = [[r.validation_loss for r in run.history] for run in (result, quick)]
    assert np.allclose(*losses, rtol=0.02)


def test_too_little_data_is_said_before_training(small, toy_record, toy_spec) -> None:
    train, held = small
    nothing = held.of_episodes([])
    with pytest.raises(DatasetError, match="validation data: 0 transitions"):
        fit(train, nothing, toy_spec, (), QUICK)
    with pytest.raises(DatasetError, match="validation data has no 3 consecutive"):
        fit(train, toy_record(4, 2, seed=2), toy_spec, (), QUICK)
    narrow = TransitionSet(held.state[:, :4], held.action, held.next_state[:, :4], held.episode, held.step,
                           held.episode_keys)  # fmt: skip
    with pytest.raises(DatasetError, match="validation data has"):
        fit(train, narrow, toy_spec, (), QUICK)


@pytest.mark.parametrize("bad", [{"horizon": 0}, {"learning_rate": 0}, {"holdout_fraction": 1}, {"epochs": 3}])
def test_settings_out_of_range_or_unknown_are_refused(bad) -> None:
    with pytest.raises(ValidationError):
        TrainConfig(**bad)


def test_with_an_edge_a_few_wild_rows_do_not_rule_the_fit(toy_record, toy_spec) -> None:
    data = toy_record(40, 30)
    wild = np.array(data.next_state)
    wild[::50, 3] += np.random.default_rng(0).choice([-1.0, 1.0], len(wild[::50])) * 3.0  # the box, hit by something
    spoilt = TransitionSet(data.state, data.action, wild, data.episode, data.step, data.episode_keys)
    fresh = toy_record(10, 30, seed=9)
    errors = {}
    for edge in (None, 1e6, 0.5):
        config = QUICK.model_copy(update={"max_epochs": 15, "horizon": 1, "huber": edge})
        model = fit(*spoilt.split_by_episode(0.1), toy_spec, (), config).model
        errors[edge] = evaluate(model.predictor(), fresh, toy_spec, horizon=1)["one_step_rmse.box.velocity"]
    assert errors[1e6] == pytest.approx(errors[None], rel=1e-6)  # beyond every error: the squared loss itself
    assert errors[0.5] < 0.7 * errors[None]


def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert {torch_device("auto").type, torch_device("cpu").type} == {"cpu"}
    with pytest.raises(DatasetError, match="no GPU"):
        torch_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (torch_device("auto").type, torch_device("cpu").type) == ("cuda", "cpu")
