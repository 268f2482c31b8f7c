# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes without ROS: what they record, and that a seed gives them again."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.task_config import contract_for, planner_defaults, task_defaults
from mbrl_controller.models.registry import Registry
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeSpec
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.simulation.sim_presets import preset
from mbrl_controller.tasks.catalog import TASKS

SMALL = {"num_samples": 16, "horizon": 3}


def spec(task: str, **changes) -> EpisodeSpec:
    return EpisodeSpec(contract=contract_for(task).text, **{"planner_options": SMALL, "seconds": 1.0, **changes})


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_task_has_a_contract_and_defaults(task: str) -> None:
    assert contract_for(task).task.name == task
    assert planner_defaults(task, "pddm").planner_options
    assert task_defaults(task).core


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MbrlError, match=r"baoding, .*reach, valve"):
        contract_for("juggling")


@pytest.mark.parametrize("sim", ["nominal", "perturbed"])
@pytest.mark.parametrize("policy", ["hold", "random", "controller"])
def test_a_seed_gives_the_same_episode(policy: str, sim: str) -> None:
    """The controller plans with the oracle here; the runner is used before, so nothing may be left over in it."""
    episodes = spec("valve", policy=policy, sim=preset(sim), exploration=0.1)
    first = EpisodeRunner(episodes).run(7)
    runner = EpisodeRunner(episodes)
    runner.run(3)
    again = runner.run(7)
    for name in ("states", "observed", "stamps", "commands", "goals"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert not np.array_equal(first.states, runner.run(8).states)


def test_processes_do_not_change_the_episodes_of_several_specs_in_turn() -> None:
    specs = [spec("valve", policy="random"), spec("valve", policy="hold")]
    with EpisodePool(1) as here, EpisodePool(2) as there:
        for episodes in [*specs, specs[0]]:
            pairs = list(zip(here.run(episodes, [3, 1, 2]), there.run(episodes, [3, 1, 2]), strict=True))
            assert [two.seed for _, two in pairs] == [3, 1, 2]
            assert all(np.array_equal(one.states, two.states) for one, two in pairs)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_bad_spec_is_refused_at_once(processes: int) -> None:
    with EpisodePool(processes) as pool, pytest.raises(MbrlError, match="flavour"):
        pool.run(spec("valve", planner_options={"flavour": 1}), [0])


def test_holding_still_keeps_the_balls_and_turns_nothing() -> None:
    record = EpisodeRunner(spec("baoding", policy="hold", seconds=3.0)).run(0)
    assert record.metrics.time_kept == pytest.approx(3.0)
    assert abs(record.metrics.values["degrees_turned"]) < 15


def test_an_episode_ends_with_the_drop_and_is_charged_to_its_end() -> None:
    runner = EpisodeRunner(spec("baoding", policy="random", seconds=10.0))
    record = next(r for r in map(runner.run, range(20)) if r.metrics.dropped)
    T, task = len(record.commands), runner.contract.task
    assert T < 100
    assert task.dropped(record.states[-1])
    assert not task.dropped(record.states[:-1]).any()
    assert record.metrics.episode_return < -task.drop_cost * (100 - T)


def test_commands_stay_within_the_contract() -> None:
    runner = EpisodeRunner(spec("valve", policy="controller", exploration=1.0))
    record, action = runner.run(0), runner.contract.action
    assert (record.commands >= action.lower).all()
    assert (record.commands <= action.upper).all()
    position = record.observed[:-1][:, runner.contract.task.joint_positions]
    assert (np.abs(record.commands - position) <= action.max_rate * action.period + 1e-9).all()


def test_the_oracle_turns_the_valve_further_than_random_motion() -> None:
    options = {"num_samples": 60, "horizon": 5, "inverse_temperature": 1.0}
    seeds = range(3)
    oracle = EpisodeRunner(spec("valve", planner_options=options, seconds=3.0))
    floor = EpisodeRunner(spec("valve", policy="random", seconds=3.0))
    assert np.mean([oracle.run(s).metrics.values["final_goal_error"] for s in seeds]) < 0.5 * np.mean(
        [floor.run(s).metrics.values["final_goal_error"] for s in seeds]
    )


def test_a_learned_model_can_be_planned_with(trained: Path) -> None:
    version = Registry(trained).current("valve")
    record = EpisodeRunner(spec("valve", model=version.model, model_version=version.name)).run(0)
    assert np.isfinite(record.predicted_returns).all()
    assert (record.disagreements > 0).all()


def test_a_planner_that_needs_no_model_runs_without_a_version(tmp_path: Path) -> None:
    config = RolloutConfig("valve", planner="random", models_dir=tmp_path, planner_options={"exploration_range": 0.2})
    found = resolve(config)
    assert (found.version, found.digest, found.spec.model) == ("random", "", None)
    action = found.contract.action
    commands = EpisodeRunner(found.spec).run(0).commands
    assert np.ptp(commands, axis=0).min() > 0
    assert (np.abs(action.to_normalised(commands[5:])) <= 0.2 + 1e-9).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dynamics": "oracle"}, "planner hybrid: dynamics oracle has no gradients: it plans through a learned model"),
        ({"precision": "int8"}, "a planner that asks for gradients is served the fp32 file only"),
    ],
)
def test_a_planner_by_gradient_is_refused_before_an_episode(trained: Path, changes: dict, reason: str) -> None:
    pytest.importorskip("array_api_compat")
    with pytest.raises(MbrlError, match=reason):
        resolve(RolloutConfig("valve", planner="hybrid", models_dir=trained, **changes))


@pytest.mark.parametrize("module", ["torch", "array_api_compat"])
def test_without_torch_it_says_what_to_install(trained: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else found(name))
    if module == "array_api_compat":
        pytest.importorskip("torch")
    with pytest.raises(MbrlError, match=f"need {module}, which is not installed: .*train"):
        resolve(RolloutConfig("valve", planner="gradient", models_dir=trained))


@pytest.mark.parametrize("planner", ["gradient", "hybrid"])
def test_an_episode_is_planned_by_gradient(trained: Path, planner: str) -> None:
    pytest.importorskip("array_api_compat")
    options = {"horizon": 3, **({"num_samples": 16} if planner == "hybrid" else {"starts": 2, "iterations": 2})}
    config = RolloutConfig("valve", planner=planner, planner_options=options, models_dir=trained, seconds=0.4)
    resolved = resolve(config)
    assert resolved.precision == "fp32"
    one, two = (EpisodeRunner(resolved.spec).run(3) for _ in range(2))
    np.testing.assert_array_equal(one.commands, two.commands)
    assert np.isfinite(one.predicted_returns).all()
