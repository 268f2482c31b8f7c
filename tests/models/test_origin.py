# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What may be mixed must be asked for, in words that are known."""

from __future__ import annotations

import pytest

from mbrl_controller.base.errors import DatasetError, MbrlError, ModelError
from mbrl_controller.models.origin import (
    REAL,
    check_one_world,
    check_robot,
    count_origins,
    parse_mix,
    simulated_world,
    unknown_note,
    worlds_of,
)

SIM = simulated_world("0123456789abcdef0123456789abcdef")


def test_words_are_known_or_refused():
    assert parse_mix("") == parse_mix(()) == frozenset()
    assert parse_mix("robots, worlds") == parse_mix(["worlds", "robots"]) == {"robots", "worlds"}
    with pytest.raises(MbrlError, match=r"hands.*known: robots, worlds"):
        parse_mix("robots,hands")


def test_episodes_are_counted_by_robot_and_world():
    found = count_origins([("claw", REAL), ("claw", SIM), ("claw", REAL), ("claw", "")])
    assert [(o.robot, o.world, o.episodes) for o in found] == [("claw", "", 1), ("claw", REAL, 2), ("claw", SIM, 1)]
    assert worlds_of(found) == {REAL, SIM}
    assert "1 episodes do not say" in unknown_note(found)
    assert unknown_note(found[1:]) == ""


def test_several_worlds_must_be_asked_for():
    both = count_origins([("claw", REAL), ("claw", SIM)])
    with pytest.raises(DatasetError, match=f"(?s)real.*{SIM}.*--mix worlds"):
        check_one_world(both, ())
    with pytest.raises(DatasetError):
        check_one_world(both, {"robots"})
    check_one_world(both, {"worlds"})
    check_one_world(count_origins([("claw", REAL), ("claw", "")]), ())  # who did not know is taken at their word


def test_a_model_of_another_robot_must_be_asked_for():
    with pytest.raises(ModelError, match=r"v0002 is of robot 'adroit', the contract says 'shadow'.*--mix robots"):
        check_robot("adroit", "shadow", (), "v0002")
    with pytest.raises(ModelError):
        check_robot("adroit", "shadow", {"worlds"})
    check_robot("adroit", "shadow", {"robots"})
    check_robot("adroit", "adroit", ())
