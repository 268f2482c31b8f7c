# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A simulated episode's file has all that its trackers measured, and so the states that the policy saw."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.rollouts.collect import write_episode
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeSpec

BAODING = share_dir() / "config" / "adroit_baoding.yaml"


@pytest.mark.parametrize("kind", ["geometry_msgs/msg/PoseStamped", "nav_msgs/msg/Odometry"])
def test_the_dataset_has_the_states_that_were_planned_on(tmp_path: Path, kind: str) -> None:
    document = yaml.safe_load(BAODING.read_text())
    for source in document["state"][1:]:
        source["type"] = kind
    text = yaml.safe_dump(document)
    trajectory = EpisodeRunner(EpisodeSpec(contract=text, policy="random", seconds=0.5)).run(3)
    contract = parse_contract(text)
    file = write_episode(tmp_path / "episode_0001.mcap", contract, EpisodeInfo("s", 1), trajectory)
    episode = read_episode(file)
    found = transitions(episode)

    assert len(found) == 5
    assert found.state == pytest.approx(trajectory.observed[:-1], abs=1e-9)
    assert found.next_state == pytest.approx(trajectory.observed[1:], abs=1e-9)
    derived = kind.endswith("PoseStamped")
    assert len(episode.sources["ball_a/odometry"]) == (51 if derived else 6)
    assert (trajectory.measurements is None) == (not derived)
