# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The contract's topic of labels, and labels in a log."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_controller.base.errors import ContractError, EpisodeError, MessageError
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.contract.reward_label import RewardLabel
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.trajectory_writer import write_trajectory

ARRAYS = ["std_msgs/msg/Float32MultiArray", "std_msgs/msg/Float64MultiArray"]


def labelled(reward: str, **changes: str) -> RobotContract:
    text = contract_for("valve").text.replace("format_version: 1", "format_version: 2") + f"\nreward: {reward}\n"
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_contract(text)


def test_a_contract_without_labels_keeps_its_digest_and_one_with_them_has_another() -> None:
    plain = contract_for("valve")
    assert plain.file.reward is None
    assert "reward" not in plain.file.model_dump()
    assert labelled("{topic: judge}").digest != plain.digest


def test_labels_are_of_format_2() -> None:
    with pytest.raises(ContractError, match="reward: needs format_version: 2"):
        parse_contract(contract_for("valve").text + "\nreward: {topic: judge}\n")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("{topic: judge, entry: 2}", "entry is for arrays"),
        ("{topic: valve/joint_command}", "is the command's topic"),
        ("{topic: valve/joint_states}", "is a state's topic of another type"),
        ("{topic: judge, type: std_msgs/msg/String}", "type"),
    ],
)
def test_what_cannot_be_a_label_is_named(reward: str, message: str) -> None:
    contract = contract_for("valve")
    names = {
        "valve/joint_command": contract.destinations[0].topic,
        "valve/joint_states": contract.sources[0].topic,
    }
    for old, new in names.items():
        reward = reward.replace(old, new)
    with pytest.raises(ContractError, match=message):
        labelled(reward)


def test_a_label_is_one_entry_of_an_array() -> None:
    label = RewardLabel(topic="judge", type=ARRAYS[1], entry=2)
    assert label.value(SimpleNamespace(data=[0.0, 1.0, 7.0])) == 7
    with pytest.raises(MessageError, match="2 values, so no reward at 2"):
        label.value(SimpleNamespace(data=[0.0, 1.0]))
    assert RewardLabel(topic="judge").value(SimpleNamespace(data=3.5)) == 3.5


@pytest.mark.parametrize("kind", ["std_msgs/msg/Float64", *ARRAYS])
def test_labels_that_were_written_are_read(tmp_path: Path, kind: str) -> None:
    contract = labelled(f"{{topic: judge, type: {kind}{'' if kind.endswith('Float64') else ', entry: 3'}}}")
    S, A, T = len(contract.task.state), len(contract.action), 5
    rewards = np.arange(T) - 1.5
    info = EpisodeInfo("s", 1)
    states, commands = np.zeros((T + 1, S)), np.zeros((T, A))
    path = write_trajectory(tmp_path / "e.mcap", contract, info, states, commands, rewards=rewards)
    episode = read_episode(path, contract)
    assert episode.labels.values[:, 0].tolist() == rewards.tolist()
    assert episode.info.topics["reward"] == "/judge"
    assert not len(read_episode(path, contract, only_for_transitions=True).labels)
    with pytest.raises(EpisodeError, match="rewards"):
        write_trajectory(tmp_path / "f.mcap", contract, info, states, commands, rewards=rewards[:-1])
    with pytest.raises(EpisodeError, match="rewards"):
        write_trajectory(tmp_path / "g.mcap", contract_for("valve"), info, states, commands, rewards=rewards)
