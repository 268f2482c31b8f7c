# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A plan against what then happened."""

from __future__ import annotations

import numpy as np
import pytest

from mbrl_controller.replay.facts import joints_at_limits, of_episode, of_moment
from mbrl_controller.replay.outlook import Outlooks
from mbrl_controller.replay.recording import Recording

from ..ros.conftest import linear_registry
from .conftest import HORIZON, STEPS

TURN = 0.1  # rad of the valve for each rad of target


@pytest.fixture(scope="module")
def outlooks(claw, tmp_path_factory) -> Outlooks:
    return Outlooks(linear_registry(claw, tmp_path_factory.mktemp("registry"), ("v0001",), turn=TURN))


def test_a_plan_is_compared_with_commands_states_and_what_its_model_expected(make, outlooks) -> None:
    made = make(version="v0001")
    recording = Recording.load(made.path)
    found = outlooks.of(recording, 5)
    np.testing.assert_allclose(found.targets, made.plans[5])
    np.testing.assert_allclose(found.commanded, made.commands[5 : 5 + HORIZON])
    assert found.command_gap == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(found.happened, made.states[5 : 6 + HORIZON])
    assert found.predicted is not None
    assert found.predicted.shape == (1, HORIZON + 1, len(made.contract.task.state))
    valve = made.contract.task.state.index("valve.position")
    expected = made.states[5, valve] + TURN * np.concatenate([[0], made.plans[5].sum(-1).cumsum()])
    np.testing.assert_allclose(found.predicted[0, :, valve], expected, atol=1e-5)
    gap = np.sqrt(np.mean((expected[1:] - made.states[6 : 6 + HORIZON, valve]) ** 2))
    assert found.object_gaps(made.contract.task) == {"valve": (pytest.approx(gap, abs=1e-5), "rad")}
    assert dict(of_moment(recording, 0.5, found))["expected to seen, valve"].endswith("rad (RMS)")


def test_plans_stamped_late_are_compared_with_the_commands_made_of_them(make, outlooks) -> None:
    made = make(lead=2)
    found = outlooks.of(Recording.load(made.path), 5)
    np.testing.assert_allclose(found.commanded, made.commands[5 : 5 + HORIZON])


def test_what_a_plan_wanted_after_the_end_has_nothing_beside_it(make, outlooks) -> None:
    found = outlooks.of(Recording.load(make(version="v0001").path), STEPS - 1)
    assert np.isfinite(found.commanded[0]).all()
    assert np.isnan(found.commanded[2:]).all()
    assert np.isfinite(found.happened[:2]).all()
    assert np.isnan(found.happened[2:]).all()
    assert np.isfinite(found.command_gap)


@pytest.mark.parametrize(("version", "why"), [("", "names no model"), ("v0099", "v0099")])
def test_without_the_model_the_rest_is_shown_and_why(make, outlooks, version: str, why: str) -> None:
    recording = Recording.load(make(version=version).path)
    found = outlooks.of(recording, 0)
    assert found.predicted is None
    assert why in found.problem
    assert found.object_gaps(recording.contract.task) == {}
    assert why in dict(of_moment(recording, 0.0, found))["not predicted"]


def test_the_words_tell_whose_episode_it_is_and_which_joints_are_at_a_limit(make, claw) -> None:
    recording = Recording.load(make(version="v0001", reason="drop", planned=False).path)
    told = dict(of_episode(recording))
    assert (told["ended"], told["plans"]) == ("drop", "none were logged")
    assert "v0001" in told["commanded by"]
    command = claw.action.neutral.copy()
    command[2] = claw.action.upper[2]
    assert joints_at_limits(recording, command) == [claw.action.names[2]]
    assert joints_at_limits(recording, np.full(len(claw.action), np.nan)) == []
