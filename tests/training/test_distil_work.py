# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Labels: the planner's along a log and in simulation, the same whoever works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("torch")

from mbrl_controller.base.errors import ContractError, DatasetError, GoalError, MbrlError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.registry import Registry
from mbrl_controller.training.callbacks import DistilCallback
from mbrl_controller.training.demonstrations import Demonstrations
from mbrl_controller.training.distil_networks import fit_policy
from mbrl_controller.training.distil_plan import DistilInputs, DistilPlan, DistilRequest, check_plan, make_plan
from mbrl_controller.training.distil_rounds import StoppedError, labelled_states, part_file
from mbrl_controller.training.distil_work import Piece, Work, do
from mbrl_controller.training.labelling import Teacher
from mbrl_controller.training.log_stretches import sample_log

from ..versions import version_with_heads

# One iteration with noise of its own at each step, whatever the task's own teacher has.
QUICK = {"num_samples": 24, "horizon": 3, "iterations": 1, "noise": "filtered", "sigma": 0.9, "ess_fraction": 0.0,
         "num_elites_kept": 0, "low_noise_fraction": 0.0}  # fmt: skip


def planned(trained: Path, episodes: list[Path], **options) -> tuple[DistilPlan, DistilInputs]:
    registry = Registry(trained)
    request = DistilRequest(
        "valve", models_dir=trained, episodes=episodes, planner_options=QUICK, options={"states": 60, **options}
    )
    plan = make_plan(request, registry)
    return plan, check_plan(plan, registry)


def labelled(plan: DistilPlan, inputs: DistilInputs, folder: Path, processes: int = 1, stop_after: int = 10**9):
    asked = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > stop_after

    return labelled_states(plan, inputs, 0, folder, None, processes, should_stop, DistilCallback())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


@pytest.mark.parametrize("logged", [True, False], ids=["log", "simulation"])
def test_a_stopped_run_and_several_processes_give_the_same_bytes(
    tmp_path: Path, trained: Path, valve_episodes: Path, logged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbrl_controller.training.distil_rounds.STATES_OF_PIECE", 20)
    monkeypatch.setattr("mbrl_controller.training.distil_rounds.EPISODES_OF_PIECE", 1)
    plan, inputs = planned(trained, [valve_episodes] if logged else [], states=100, rounds=0)
    whole = labelled(plan, inputs, tmp_path / "whole")
    with pytest.raises(StoppedError):
        labelled(plan, inputs, tmp_path / "stopped", stop_after=0)
    assert len(content(tmp_path / "stopped")) == 1
    again = labelled(plan, inputs, tmp_path / "stopped", processes=2)
    assert content(tmp_path / "whole") == content(tmp_path / "stopped")
    np.testing.assert_array_equal(whole.plan, again.plan)
    assert len(whole) == 100
    assert whole.plan.shape[1:] == (3, 9)
    assert whole.goal.shape[1] == inputs.rows
    assert np.abs(whole.plan).max() <= 1
    assert np.ptp(whole.goal[:, 0]) > 1  # goals of both directions


def test_a_part_that_a_crash_damaged_is_told_by_name(tmp_path: Path, trained: Path, valve_episodes: Path) -> None:
    plan, inputs = planned(trained, [valve_episodes], rounds=0)
    labelled(plan, inputs, tmp_path)
    part_file(tmp_path, 0).write_bytes(b"half a part")
    with pytest.raises(DatasetError, match="part-00000"):
        labelled(plan, inputs, tmp_path)


def test_log_states_are_those_of_the_log_and_no_more_than_asked_for(valve_episodes: Path) -> None:
    contract, files = contract_for("valve"), sorted(valve_episodes.glob("*.mcap"))
    sample = sample_log(files, contract, 50, 7, seed=1)
    assert 50 <= sum(len(stretch.states) for stretch in sample.stretches) < 57
    assert all(1 <= len(stretch.states) == len(stretch.commands) <= 7 for stretch in sample.stretches)
    first = sample.stretches[0]
    joints = contract.task.joint_positions
    assert (np.abs(np.diff(first.states[:, joints], axis=0)) < 1.0).all()  # one period apart
    assert first.goal is not None
    assert np.abs(first.goal.at(np.array([first.begin]))).max() >= np.pi / 2 - 1e-6  # as the valve's goals are
    with pytest.raises(DatasetError, match="no usable state"):
        sample_log([], contract, 50, 7, seed=1)


def test_the_planners_own_plans_in_simulation_are_those_it_makes_again_there(trained: Path) -> None:
    plan, inputs = planned(trained, [], rounds=0, exploration=0.0, first_iterations=1)
    from mbrl_controller.training.distil_rounds import actor

    work = Work(inputs.teacher, plan.config, inputs.rows, 0, (actor(plan, inputs, None),))
    made = do(Piece(work, 4, episodes=1))
    teacher = Teacher(inputs.teacher)
    # The same states, goals and memory, but other random numbers: alike, and better than neutral.
    commands = inputs.contract.action.to_target(made.plan[:, 0].astype(float))
    plans, found = teacher.plans(made.state.astype(float), made.goal.astype(float), commands, seed=3)
    assert found.all()
    assert np.corrcoef(plans[:, 0].ravel(), made.plan[:, 0].ravel())[0, 1] > 0.3


def test_episodes_are_on_each_hand_in_turn(trained: Path) -> None:
    plan, inputs = planned(trained, [], exploration=0.0, sims=["nominal", "perturbed"])
    from mbrl_controller.training.distil_rounds import actor

    hands = [actor(plan, inputs, None, sim) for sim in plan.config.sims]

    def states(number: int, *actors) -> np.ndarray:
        return do(Piece(Work(inputs.teacher, plan.config, inputs.rows, 0, actors), number, episodes=1)).state

    for number in (0, 1):
        np.testing.assert_array_equal(states(number, *hands), states(number, hands[number]))
    assert not np.array_equal(states(1, hands[0]), states(1, hands[1]))


def test_what_the_controller_plans_for_is_what_the_planner_that_teaches_plans_for(tmp_path: Path) -> None:
    contract = contract_for("valve")
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    registry = version_with_heads(contract, tmp_path / "with", value=2.0)
    version_with_heads(contract, tmp_path / "without", policy=None)

    def planned_for(folder: str, **core: str) -> DistilInputs:
        models = Registry(tmp_path / folder / "models")
        request = DistilRequest(
            "valve",
            models_dir=tmp_path / folder / "models",
            episodes=(),
            core_options=core,
            planner_options=QUICK,
            options={"states": 20, "value": False},
        )
        return check_plan(make_plan(request, models), models)

    assert registry.current("valve").card().value is not None
    plain, valued = planned_for("with"), planned_for("with", terminal="value")
    teacher = Teacher(valued.teacher)
    assert teacher.heads.value is not None
    assert Teacher(plain.teacher).heads.value is None
    # The value looks beyond the horizon, so more of the goal must be known.
    assert (plain.rows, valued.rows) == (3, 3 + 3)
    state = np.zeros((1, len(contract.task.state)))
    plans, found = teacher.plans(state, np.zeros((1, valued.rows, 1)), np.zeros((1, len(contract.action))), seed=0)
    assert found.all()
    assert np.isfinite(plans).all()
    for core, word in (({"terminal": "value"}, "no value"), ({"reward": "learned"}, "no reward")):
        with pytest.raises(MbrlError, match=word):
            planned_for("without", **core)


def test_the_planner_that_teaches_has_options_of_its_own_and_what_is_named_goes_first(trained: Path) -> None:
    teaching = {"pddm": {"num_samples": 900, "filter_variant": "paper"}, "cem": {"momentum": 0.9}}
    plan, inputs = planned(trained, [], planners=teaching)
    assert plan.planner_options["filter_variant"] == inputs.teacher.planner_options["filter_variant"] == "paper"
    assert plan.planner_options["num_samples"] == QUICK["num_samples"]
    assert "momentum" not in plan.planner_options
    with pytest.raises(MbrlError, match="siggma"):
        planned(trained, [], planners={"pddm": {"siggma": 0.3}})


def test_what_cannot_be_is_refused_before_anything_is_labelled(trained: Path, valve_episodes: Path) -> None:
    for wrong in ({"states": 5}, {"goal_steps": [0]}, {"unknown": 1}):
        with pytest.raises(MbrlError, match="options"):
            planned(trained, [valve_episodes], **wrong)
    with pytest.raises(GoalError, match="sideways"):
        planned(trained, [valve_episodes], goals=[{"direction": "sideways"}])
    with pytest.raises(ContractError, match="left-hand"):
        planned(trained, [], sims=["nominal", "left-hand"])
    plan = planned(trained, [])[0].model_copy(update={"planner": "random", "planner_options": {}})
    with pytest.raises(MbrlError, match="random"):
        check_plan(plan, Registry(trained))


def test_the_policy_so_far_proposes_to_the_planner_that_teaches(
    tmp_path: Path, trained: Path, valve_episodes: Path
) -> None:
    plan, inputs = planned(trained, [valve_episodes], rounds=1, proposal_fraction=1.0, exploration=0.0)
    data = labelled(plan, inputs, tmp_path / "log")
    policy = tmp_path / "policy.onnx"
    assert fit_policy(data, plan, inputs, policy, lambda: False)
    kept = OnnxPolicy.load(policy)

    def distance(fraction: float) -> float:
        """Of the planner's labels in the policy's states to what the policy would do there."""
        changed = plan.model_copy(
            update={"config": plan.config.model_copy(update={"proposal_fraction": fraction, "states": 20})}
        )
        folder = tmp_path / f"round-{fraction}"
        made = labelled_states(changed, inputs, 1, folder, policy, 1, lambda: False, DistilCallback())
        return float(np.abs(made.plan[:, 0] - kept.plans(made.state, made.goal)[:, 0]).mean())

    assert distance(1.0) < 0.8 * distance(0.0)


def test_a_version_s_policy_acts_from_the_first_round_on_if_asked_to(
    tmp_path: Path, trained: Path, valve_episodes: Path
) -> None:
    plan, inputs = planned(trained, [valve_episodes], rounds=1, exploration=0.0)
    policy = tmp_path / "policy.onnx"
    assert fit_policy(labelled(plan, inputs, tmp_path / "log"), plan, inputs, policy, lambda: False)
    acting = planned(trained, [], rounds=1, states=40, exploration=0.0)[0]
    made = labelled_states(acting, inputs, 0, tmp_path / "acts", policy, 1, lambda: False, DistilCallback())
    alone = labelled_states(acting, inputs, 1, tmp_path / "later", policy, 1, lambda: False, DistilCallback())
    assert made.state.shape[1:] == alone.state.shape[1:]
    # From one joint position to the next, the hand goes where the policy sends it: rate limits aside, towards its plan.
    joints = inputs.contract.task.joint_positions
    first = made.sequence == made.sequence[0]
    wanted = inputs.contract.action.to_target(OnnxPolicy.load(policy).plans(made.state, made.goal)[:, 0])[first]
    moved, asked = np.diff(made.state[first][:, joints], axis=0), wanted[:-1] - made.state[first][:-1, joints]
    assert np.corrcoef(moved.ravel(), asked.ravel())[0, 1] > 0.5


def test_a_version_without_a_policy_cannot_start_from_it(trained: Path) -> None:
    with pytest.raises(MbrlError, match="has no policy"):
        planned(trained, [], start="policy")


def test_the_policy_learns_from_mirrored_states_too(tmp_path: Path, trained: Path) -> None:
    plan, inputs = planned(trained, [], rounds=0)
    task, action = inputs.contract.task, inputs.contract.action
    rng = np.random.default_rng(0)
    state = rng.normal(size=(600, len(task.state))) * 0.3
    goal = np.repeat(rng.uniform(1.0, 1.3, (600, 1, 1)), inputs.rows, axis=1)
    finger = np.full((600, len(action)), 0.5)
    finger[:, 0] = np.tanh(3 * state[:, 0])  # of the first finger alone
    data = Demonstrations(
        state.astype(np.float32),
        goal.astype(np.float32),
        np.repeat(finger[:, None], inputs.horizon, axis=1).astype(np.float32),
        np.arange(600) // 20,
    )
    file = tmp_path / "policy.onnx"
    assert fit_policy(data, plan, inputs, file, lambda: False)
    policy = OnnxPolicy.load(file)
    mirror = next(s for s in task.symmetries if s.name.startswith("mirrored"))
    seen = policy.plans(state, goal)[:, 0]
    there = policy.plans(mirror.mirror_state(state), mirror.mirror_goal(goal))[:, 0]
    expected = action.to_normalised(mirror.mirror_action(action.to_target(seen)))
    assert np.abs(there - expected).mean() < 0.15
