# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Mirror images teach what they would as rows of their own, to the bit, though memory holds none of them."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from mbrl_controller.base import columns
from mbrl_controller.dynamics import data as data_module
from mbrl_controller.dynamics import loss as loss_module
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.ensemble import DynamicsEnsemble
from mbrl_controller.dynamics.loss import RolloutLoss
from mbrl_controller.dynamics.mirror_images import MirrorImages
from mbrl_controller.dynamics.train_config import TrainConfig
from mbrl_controller.dynamics.trainer import EnsembleTrainer
from mbrl_controller.tasks.base import Symmetry

# Of the toy's state: joints A and B, the box's position and velocity, the dial (periodic).
FLIPPED = Symmetry(
    "flipped", (1, 0, 2, 3, 4), (1, 0), (-1.0, -1.0, -1.0, -1.0, -1.0), (-1.0, -1.0), (0.0, 0.0, 0.0, 0.0, 2.5)
)
TURNED = Symmetry("turned", state_offset=(0.0, 0.0, 0.0, 0.0, 3.0))
BOTH = (FLIPPED, TURNED)


def stored(data: TransitionSet, symmetries: tuple[Symmetry, ...]) -> TransitionSet:
    """The images as rows of more episodes."""
    states = [data.state] + [s.mirror_state(data.state) for s in symmetries]
    actions = [data.action] + [s.mirror_action(data.action) for s in symmetries]
    after = [data.next_state] + [s.mirror_state(data.next_state) for s in symmetries]
    count, keys = len(states), len(data.episode_keys)
    return TransitionSet(
        np.concatenate(states),
        np.concatenate(actions),
        np.concatenate(after),
        np.concatenate([data.episode + i * keys for i in range(count)]),
        np.tile(data.step, count),
        tuple(f"{key}|{i}" for i in range(count) for key in data.episode_keys),
        None if data.weight is None else np.tile(data.weight, count),
    )


def test_rows_are_those_of_the_data_and_then_of_each_image(toy_record, monkeypatch) -> None:
    data = toy_record(3, 7)
    images, expected = MirrorImages(data, BOTH), stored(data, BOTH)
    assert len(images) == len(expected) == 3 * len(data)
    rows = np.random.default_rng(0).integers(0, len(images), (4, 5))
    for found, of in zip(images.at(rows), ("state", "action", "next_state"), strict=True):
        assert np.array_equal(found, getattr(expected, of)[rows])
    monkeypatch.setattr(columns, "CHUNK_ROWS", 5)
    for found, of in zip(zip(*images.parts(), strict=True), ("state", "action", "next_state"), strict=True):
        assert np.array_equal(np.concatenate(found), getattr(expected, of))


def test_an_image_is_mirrored_with_its_signs_and_offsets(toy_record) -> None:
    data = toy_record(1, 4)
    state, action, next_state = MirrorImages(data, (FLIPPED,)).at(np.arange(4, 8))
    assert np.array_equal(action, -data.action[:, ::-1])
    for found, source in ((state, data.state), (next_state, data.next_state)):
        columns = [-source[:, 1], -source[:, 0], -source[:, 2], -source[:, 3], 2.5 - source[:, 4]]
        assert np.array_equal(found, np.column_stack(columns))


def test_no_window_goes_from_one_image_to_the_next(toy_record, toy_spec) -> None:
    data = toy_record(1, 6)  # a single episode: the next image begins where it would go on
    rows = RolloutLoss(DynamicsEnsemble(toy_spec), toy_spec, None, {}).rows(data, 3, symmetries=BOTH)
    assert rows.windows().tolist() == stored(data, BOTH).windows(3).tolist()
    assert len(rows) == 12


@pytest.mark.parametrize(
    ("changes", "weighted"),
    [({}, False), ({"bootstrap": True, "huber": 0.5}, True), ({"horizon": 1, "action_input": "target"}, False)],
)
@pytest.mark.parametrize("long", [False, True])
def test_training_gives_the_bits_that_stored_images_give(
    toy_record, toy_spec, monkeypatch, changes, weighted, long
) -> None:
    train, validation = toy_record(12, 30).split_by_episode(0.2)
    if weighted:
        train = replace(train, weight=np.where(train.episode < 4, 3.0, 1.0))
    if long:  # what is large is worked on in parts
        monkeypatch.setattr(data_module, "WHOLE_VALUES", 100)
        monkeypatch.setattr(columns, "MEMORY_BYTES", 2000)
        monkeypatch.setattr(loss_module, "_SCALE_WINDOWS", 300)
        monkeypatch.setattr(loss_module, "_SCALE_AT_ONCE", 70)
    base = {"ensemble_size": 2, "hidden": (16,), "batch": 64, "max_epochs": 2, "horizon": 3, "horizon_epochs": 2}
    config = TrainConfig(**(base | {"device": "cpu"} | changes))
    made = EnsembleTrainer(toy_spec, config, BOTH).fit(train, validation)
    expected = EnsembleTrainer(toy_spec, config).fit(stored(train, BOTH), validation)
    assert made.history == expected.history
    left, right = made.model.state_dict(), expected.model.state_dict()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_memory_does_not_grow_with_the_images(toy_record, toy_spec) -> None:
    data = toy_record(200, 50)
    loss = RolloutLoss(DynamicsEnsemble(toy_spec), toy_spec, None, {})
    tracemalloc.start()
    try:
        rows = loss.rows(data, 5, symmetries=(TURNED,) * 40)
        rows.batch(rows.windows(torch.arange(0, len(rows), 5000)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(rows) == 41 * 200 * 46
    assert peak < 2 * data.state.nbytes
