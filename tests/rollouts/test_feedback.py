# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""iLQR and its feedback in simulated episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError, ModelError
from mbrl_controller.rollouts import collect
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeTrajectory


def config(trained: Path | None = None, **changes) -> RolloutConfig:
    given = {"planner": "ilqr", "planner_options": {"horizon": 3, "iterations": 2}, "seconds": 0.5, **changes}
    return RolloutConfig("valve", models_dir=trained, **given)


def episode(trained: Path, **changes) -> EpisodeTrajectory:
    return EpisodeRunner(resolve(config(trained, **changes)).spec).run(3)


@pytest.mark.parametrize("sim", ["nominal", "perturbed"])
def test_an_episode_with_feedback_repeats_and_differs_from_one_without(trained: Path, sim: str) -> None:
    feedback = {"core_options": {"feedback": True, "feedback_rate": 20.0}, "sim": sim}
    first, again, without = episode(trained, **feedback), episode(trained, **feedback), episode(trained, sim=sim)
    assert np.array_equal(first.states, again.states)
    assert first.corrections is not None
    assert first.corrections.shape == (5,)
    assert (first.corrections <= 1).all()
    assert first.corrections.any()
    assert without.corrections is None
    assert not np.array_equal(first.states, without.states)


def test_the_simulator_as_the_model_is_refused_before_the_episode() -> None:
    with pytest.raises(ModelError, match="ilqr: it linearises a learned model"):
        EpisodeRunner(resolve(config(dynamics="oracle")).spec)


def test_episodes_with_feedback_are_not_collected(tmp_path: Path) -> None:
    wanted = config(dynamics="oracle", core_options={"feedback": True})
    with pytest.raises(MbrlError, match="feedback=false"):
        collect.run(wanted, episodes=1, episodes_dir=tmp_path)
    assert not list(tmp_path.iterdir())
