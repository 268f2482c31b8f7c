# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Planning on a version's learned reward in the core, and what is said where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.control.heads import used_heads
from mbrl_controller.planning.catalog import make_planner

from .conftest import PlainModel
from .heads import FakeReward, FakeValue, Headed
from .test_policy import Hand, make_core


def test_the_reward_is_asked_only_where_it_is_chosen() -> None:
    reward = FakeReward()
    Hand(make_core(Headed(reward=reward))).tick()
    assert not reward.asked
    core = make_core(Headed(reward=reward), reward="learned")
    tick = Hand(core).tick()
    assert reward.asked == [2 * 8 * 4]  # members of the model, candidates and steps at once
    assert tick.solution is not None
    before = make_core(Headed(reward=FakeReward()))
    plain = Hand(before).tick()
    assert plain.solution is not None
    # two members of the reward for each
    assert tick.solution.network_evaluations == plain.solution.network_evaluations + 2 * 2 * 8 * 4


def test_the_plan_goes_where_the_learned_reward_is() -> None:
    def first(wants: float) -> float:
        core = make_core(
            Headed(reward=FakeReward(wants)), planner={"num_samples": 200}, reward="learned", reward_pessimism=0.0
        )
        solution = Hand(core).tick().solution
        assert solution is not None
        return float(solution.plan.actions[0, 0])

    assert first(1.0) > 0.2
    assert first(-1.0) < -0.2


def test_a_version_without_a_reward_is_refused_where_one_is_asked_for() -> None:
    with pytest.raises(ModelError, match="has no reward: mbrl retrain --set reward=learned"):
        make_core(Headed(), reward="learned")
    core = make_core(Headed(reward=FakeReward()), reward="learned")
    with pytest.raises(ModelError, match="has no reward"):
        core.swap(PlainModel())
    with pytest.raises(ModelError, match="has no reward"):
        make_core(PlainModel()).reconfigure(core.planner, ControllerConfig(reward="learned"))


@pytest.mark.parametrize("name", ["gradient", "ilqr"])
def test_a_planner_that_asks_for_gradients_is_refused(name: str) -> None:
    planner, model = make_planner(name, 3), Headed(reward=FakeReward())
    model.predict = lambda state, action: np.zeros((2, len(state), 8))  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=f"planner {name} asks for gradients, which a learned reward does not have"):
        used_heads(model, planner, ControllerConfig(reward="learned"), "controller")


def test_a_value_of_the_tasks_reward_does_not_go_behind_a_learned_one() -> None:
    with pytest.raises(ModelError, match="of the task's reward; choose terminal none"):
        make_core(Headed(value=FakeValue(), reward=FakeReward()), reward="learned", terminal="value")


def test_a_reward_without_a_number_leaves_nothing_to_follow() -> None:
    tick = Hand(make_core(Headed(reward=FakeReward(np.nan)), reward="learned")).tick()
    assert tick.solution is not None
    assert not tick.solution.plan.valid
