# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From a log to a learned reward: which labels are of which step, what is refused, and the version made of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mujoco")

from mbrl_controller.base.errors import DatasetError, MbrlError, ModelError
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.reward_config import RewardFitConfig
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.models.card import Version
from mbrl_controller.models.head_loading import load_heads
from mbrl_controller.models.onnx_reward import OnnxReward
from mbrl_controller.models.registry import Registry
from mbrl_controller.rollouts import evaluate
from mbrl_controller.tasks.spaces import VectorSpec
from mbrl_controller.tasks.valve import Valve
from mbrl_controller.training.reward_labels import LabelledSteps, label_method, read_labels

from ..rollout_calls import retrained, roll_out
from ..trained_valve import TINY

T = 12
FEW: dict[str, Any] = {"reward": "learned", "reward_fit": {"goals": 2, "max_epochs": 8, "members": 2, "hidden": [16]}}


@pytest.fixture(scope="module")
def contract() -> RobotContract:
    """The valve's, with a topic of labels."""
    text = contract_for("valve").text.replace("format_version: 1", "format_version: 2")
    return parse_contract(text + "\nreward: {topic: judge}\n")


def write(path: Path, contract: RobotContract, number: int, rewards: np.ndarray | None, goals: bool = True) -> Path:
    """An episode whose valve goes .1 rad a step, under a goal that is its step's number by 10."""
    states = np.zeros((T + 1, len(contract.task.state)))
    states[:, 18] = 0.1 * np.arange(T + 1)
    commands = np.full((T, len(contract.action)), 0.01 * number)
    goal = np.arange(T + 1)[:, None] / 10
    info = EpisodeInfo("s", number)
    return write_trajectory(
        path / f"e{number}.mcap", contract, info, states, commands, goals=goal if goals else None, rewards=rewards
    )


def read(files: list[Path], contract: RobotContract, **fit: Any) -> LabelledSteps:
    return read_labels(files, contract, RewardFitConfig(**fit), drop_cost=5.0)


def test_a_label_is_of_the_step_that_it_ends_and_the_goal_is_that_of_its_end(
    tmp_path: Path, contract: RobotContract
) -> None:
    labels = np.arange(T) + 100.0
    found = read([write(tmp_path, contract, 1, labels)], contract)
    data = found.data
    assert found.method == "topic_labels"
    assert data.target.tolist() == labels.tolist()
    np.testing.assert_allclose(data.next_state[:, 18], 0.1 * np.arange(1, T + 1), atol=1e-9)
    np.testing.assert_allclose(data.state[:, 18], 0.1 * np.arange(T), atol=1e-9)
    np.testing.assert_allclose(data.goal[:, 0, 0], np.arange(1, T + 1) / 10)


def test_without_any_label_it_says_what_to_do(tmp_path: Path, contract: RobotContract) -> None:
    with pytest.raises(DatasetError, match=r"no labels of the reward.*on judge.*reward_fit.labels=task"):
        read([write(tmp_path, contract, 1, None)], contract)
    with pytest.raises(MbrlError, match="the contract names no topic of labels"):
        label_method(contract_for("valve"), RewardFitConfig(labels="topic"))
    assert label_method(contract_for("valve"), RewardFitConfig()) == "task_labels"


def test_labels_in_some_episodes_are_refused_or_the_others_left_out(tmp_path: Path, contract: RobotContract) -> None:
    files = [write(tmp_path, contract, 1, np.zeros(T)), write(tmp_path, contract, 2, None)]
    with pytest.raises(DatasetError, match=r"1 of 2 episodes have no labels.*e2.mcap.*unlabelled=skip"):
        read(files, contract)
    found = read(files, contract, unlabelled="skip")
    assert len(found.data) == T
    assert list(found.unused_files) == [str(files[1])]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_labels_that_are_no_numbers_are_named_with_their_file(
    tmp_path: Path, contract: RobotContract, bad: float
) -> None:
    labels = np.zeros(T)
    labels[3] = bad
    with pytest.raises(DatasetError, match=r"e1.mcap: 1 of its 12 labels of the reward are not finite"):
        read([write(tmp_path, contract, 1, labels)], contract)


def test_labels_under_no_goal_are_of_no_use(tmp_path: Path, contract: RobotContract) -> None:
    with pytest.raises(DatasetError, match="no goal was logged"):
        read([write(tmp_path, contract, 1, np.zeros(T), goals=False)], contract)


@pytest.mark.parametrize("logged", [True, False])
def test_the_tasks_labels_are_its_reward_under_logged_goals_and_goals_drawn_for_each_step(
    tmp_path: Path, contract: RobotContract, monkeypatch: pytest.MonkeyPatch, logged: bool
) -> None:
    monkeypatch.setattr(Valve, "at_risk", lambda self, state: state[..., 18] > 1.05)
    files = [write(tmp_path, contract, 1, None, goals=logged)]
    found = read(files, contract, labels="task", goals=3)
    data = found.data
    assert (found.method, found.drop_cost) == ("task_labels", 5.0)
    assert len(data) == T * (3 + logged)
    task = contract.task
    risk = data.next_state[:, 18] > 1.05
    assert risk.sum() == 2 * (3 + logged)
    np.testing.assert_allclose(data.target, task.reward(data.next_state, data.action, data.goal[:, 0]) - 5.0 * risk)
    assert len(np.unique(data.goal)) > 2.5 * T
    again = read(files, contract, labels="task", goals=3)
    assert np.array_equal(again.data.goal, data.goal)
    assert len(read(files, contract, labels="task", goals=3, max_rows=7).data) == 7


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, valve_episodes: Path) -> Version:
    """Of a retrain that learns a reward."""
    base = tmp_path_factory.mktemp("rewarded")
    places = {"models_dir": base / "models", "runs_dir": base / "runs"}
    made: Version = retrained(
        "valve", episodes=[valve_episodes], options=TINY | FEW, threads=1, precision="fp32", force=True, **places
    ).version
    return made


def test_a_retrain_makes_a_version_with_a_reward_that_it_can_be_planned_on(version: Version) -> None:
    card = version.card()
    assert card.reward is not None
    assert (card.reward.kind, card.head_names) == ("task_labels", "reward (task_labels)")
    assert card.reward.figures["steps"] == 3 * 12 * 40
    assert "reward=" in card.reward.command
    assert "## Learned reward" in (version.folder / "report.md").read_text()
    contract = contract_for("valve")
    heads = load_heads(version, task=contract.task, action=contract.action, sandbox_rows=4, sandbox_steps=2)
    assert heads.reward is not None
    assert heads.reward.spec.version == version.name

    def planned(**core: Any) -> Any:
        options = {"planner_options": {"num_samples": 20, "horizon": 2}, "core_options": core, "seconds": 0.4}
        models = {"models_dir": version.folder.parents[1], "model": version.name}
        return roll_out(evaluate.run, "valve", episodes=1, processes=1, **options, **models)

    learned, task = planned(reward="learned"), planned()
    assert learned["core"]["reward"] == "learned"
    # the reward's members are asked besides the model's: candidates, steps and members of both
    assert learned["network_evaluations_mean"] - task["network_evaluations_mean"] == 20 * 2 * 2 * 2


def test_the_reward_of_another_task_or_goal_is_refused(version: Version) -> None:
    with pytest.raises(ModelError, match=r"reward.onnx: reward .* does not fit: it was trained for task 'valve'"):
        OnnxReward.load(
            version.head("reward"), task=contract_for("baoding").task, action=contract_for("baoding").action
        )
    contract = contract_for("valve")
    task = Valve(contract.task.joints)
    task.goal = VectorSpec(("valve.target", "speed"), ("rad", "rad/s"), periodic=(0,))
    with pytest.raises(ModelError, match=r"its goal lacks .speed."):
        OnnxReward.load(version.head("reward"), task=task, action=contract.action)


def test_a_damaged_reward_is_an_error_and_is_never_run(version: Version, tmp_path: Path) -> None:
    folder = shutil.copytree(version.folder.parents[1], tmp_path / "models")
    copy = Registry(folder).resolve("valve", version.name)
    copy.head("reward").write_bytes(b"x" + copy.head("reward").read_bytes()[1:])
    with pytest.raises(ModelError, match=r"reward\.onnx"):
        load_heads(copy)
