# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl policy` as a job: from a model or the simulated world to a version with a policy file, stopped and resumed."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="needs the extra policy")
pytest.importorskip("mujoco")
pytest.importorskip("onnx")
from typer.testing import CliRunner

from mbrl_controller.base.errors import DatasetError, MbrlError, ModelError
from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.learning import compare, policy_run
from mbrl_controller.learning.log import LOG_FILE, StepKind, read_rows
from mbrl_controller.learning.policy_plan import PolicyRequest, command_of, make_plan, read_plan
from mbrl_controller.learning.policy_sources import environment
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.origin import simulated_world
from mbrl_controller.models.registry import Registry
from mbrl_controller.rollouts import evaluate
from mbrl_controller.rollouts.config import RolloutConfig
from mbrl_controller.simulation.scene import world_digest

TINY = {"hidden": [8, 8], "batch": 16, "evaluate_episodes": 1, "scaling_episodes": 1, "learning_starts": 20}
SIM = {**TINY, "env_steps": 120, "evaluate_every": 80, "checkpoint_every": 40}
MODEL = {**TINY, "updates": 45, "rollouts": 8, "updates_per_step": 0.5, "evaluate_every": 20, "checkpoint_every": 20,
         "goals_per_transition": 1}  # fmt: skip


def request(folder, source="sim", **more):
    options = {**(SIM if source == "sim" else MODEL), **more.pop("options", {})}
    return PolicyRequest(
        "valve", source=source, options=options, models_dir=folder / "models", runs_dir=folder / "runs", name="one",
        **more,
    )  # fmt: skip


def stopped_after(calls):
    """Asked so often, it says stop."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


@pytest.fixture(scope="module")
def from_sim(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sim")
    return folder, policy_run.run(request(folder))


def test_a_run_from_sim_gives_a_version_with_a_policy_alone(from_sim):
    folder, result = from_sim
    version = Registry(folder / "models").resolve("valve", result.version.name)
    card = version.check_digest()
    assert card.model_sha256 is None
    assert card.policy.kind == "sac"
    assert card.worlds == simulated_world(world_digest(contract_for("valve")))
    assert card.policy.figures["real_points"] == 160  # 120, and one episode by which the input is scaled
    with pytest.raises(ModelError, match="no model, only a policy"):
        version.require_model(card)
    contract = contract_for("valve")
    policy = OnnxPolicy.load(version.head("policy"), task=contract.task, action=contract.action)
    assert policy.spec.version == version.name
    assert (policy.spec.horizon, policy.spec.goal_steps) == (1, (1, 5))


def test_its_log_has_points_success_return_and_time_and_is_drawn_with_learning_runs(from_sim, tmp_path):
    _, result = from_sim
    rows = read_rows(result.folder / LOG_FILE)
    assert [(row.step, row.round, row.env_steps) for row in rows] == [
        (StepKind.EVALUATE, 1, 120), (StepKind.EVALUATE, 2, 160),
    ]  # fmt: skip
    figures = rows[-1].figures()
    assert {"goal_rate", "kept_rate", "return_mean", "success_0.1", "success_90"} <= set(figures)
    assert rows[-1].total_s >= rows[0].total_s > 0
    (found,) = compare.compare_runs([result.folder])
    assert found.group == "valve SAC from sim"
    pytest.importorskip("matplotlib")
    compare.plot(tmp_path / "curve.png", [found])
    assert (tmp_path / "curve.png").stat().st_size > 5000
    assert compare.tables([found])[0].row_count == 2


def test_the_file_acts_as_the_agent_that_was_judged(from_sim):
    folder, result = from_sim
    plan = read_plan(result.folder)
    contract = contract_for("valve")
    policy = OnnxPolicy.load(Registry(folder / "models").resolve("valve", result.version.name).head("policy"))
    env = environment(plan, contract)
    (observation, _), ended = env.reset(seed=100_000), False
    while not ended:
        goals = np.zeros((5, 1))
        goals[[0, 4]] = observation[20:].reshape(2, 1)
        observation, _, terminated, ended, _ = env.step(policy.plan(observation[:20], goals)[0])
        assert not terminated
    assert env.metrics.episode_return == pytest.approx(result.rows[-1].return_mean, rel=1e-4)


def test_evaluation_finds_what_the_run_found(from_sim):
    folder, result = from_sim
    config = RolloutConfig("valve", policy="distilled", model=result.version.name, models_dir=folder / "models")
    report = evaluate.run(config, episodes=1, seed=100_000, processes=1)
    assert report["return_mean"] == pytest.approx(result.rows[-1].return_mean, rel=1e-4)


def test_a_stopped_run_goes_on_to_the_version_it_would_have_had(from_sim, tmp_path):
    _, whole = from_sim
    stopped = policy_run.run(request(tmp_path), should_stop=stopped_after(1))
    assert stopped.version is None
    assert not list((tmp_path / "models").glob("valve/v*"))
    result = policy_run.run(replace(request(tmp_path), resume=True))
    assert [row.same() for row in result.rows] == [row.same() for row in whole.rows]
    assert _weights(result.version) == _weights(whole.version)
    with pytest.raises(MbrlError, match="has finished"):
        policy_run.run(replace(request(tmp_path), resume=True))


def _weights(version):
    from mbrl_controller.models.files import ModelFile

    content = ModelFile.read(version.head("policy")).content
    at = content.index(b"mbrl_controller_head")  # what follows has the moment at which it was made
    return content[:at]


@pytest.mark.training
@pytest.mark.parametrize("scheme", ["A", "C"])
def test_a_run_from_a_model_adds_its_policy_to_the_models_files(trained_copy, valve_episodes, tmp_path, scheme):
    asked = request(tmp_path, "model", scheme=scheme, episodes=[valve_episodes])
    asked = replace(asked, models_dir=trained_copy)
    before = Registry(trained_copy).current("valve")
    result = policy_run.run(asked)
    card = result.version.check_digest()
    assert card.model_sha256 == before.card().model_sha256
    assert card.spec.parent == card.policy.parent == before.name
    assert Registry(trained_copy).current("valve").name == before.name  # nobody promoted it
    kinds = [(row.step, row.round) for row in result.rows]
    assert kinds[-1] == (StepKind.EVALUATE, 3)
    assert all(kind is StepKind.TRAIN for kind, _ in kinds[:-1])
    assert {row.env_steps for row in result.rows} == {before.card().spec.transitions}
    assert f"--from model --seed 0 --scheme {scheme} --model {before.name}" in card.policy.command


@pytest.mark.training
def test_a_run_from_a_model_that_was_stopped_goes_on_to_the_same_end(trained_copy, valve_episodes, tmp_path):
    asked = replace(request(tmp_path, "model", episodes=[valve_episodes]), models_dir=trained_copy)
    whole = policy_run.run(replace(asked, name="whole"))
    assert policy_run.run(replace(asked, name="part"), should_stop=stopped_after(1)).version is None
    result = policy_run.run(replace(asked, name="part", resume=True))
    assert _weights(result.version) == _weights(whole.version)


def test_the_command_on_the_card_says_what_was_asked(tmp_path):
    plan = make_plan(request(tmp_path, seed=4, goal_options={"angle": 1.0}, options={"env_steps": 10}))
    command = command_of(plan)
    assert command.startswith("mbrl policy valve --from sim --seed 4 ")
    assert "--set hidden=[8,8]" in command
    assert "--set env_steps=10 " in command
    assert command.endswith("--goal angle=1.0")
    assert "learning_rate" not in command


def test_what_cannot_work_is_said_before_anything_is_learnt(tmp_path, monkeypatch):
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "home"))
    with pytest.raises(MbrlError, match="policy options: updates"):
        make_plan(request(tmp_path, options={"updates": 0}))
    with pytest.raises(MbrlError, match="no model of task"):
        make_plan(request(tmp_path, "model"))
    with pytest.raises(MbrlError, match="leave them out"):
        make_plan(request(tmp_path, episodes=[tmp_path]))
    with pytest.raises(MbrlError, match="goal_steps"):
        policy_run.run(request(tmp_path, options={"goal_steps": [5, 1]}))
    with pytest.raises(MbrlError, match="no unfinished run"):
        policy_run.run(replace(request(tmp_path / "none"), name=None, resume=True))
    (tmp_path / "runs" / "policy" / "valve" / "two").mkdir(parents=True)
    (tmp_path / "runs" / "policy" / "valve" / "two" / "plan.json").write_text(json.dumps({"task": "valve"}))
    with pytest.raises(MbrlError, match="not the plan of a policy's run"):
        policy_run.run(replace(request(tmp_path), name="two", resume=True))


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.delitem(sys.modules, "mbrl_controller.training.sac", raising=False)
    with pytest.raises(MbrlError, match=r"needs stable_baselines3, which is not installed: .*policy"):
        policy_run.run(request(tmp_path))


@pytest.mark.training
def test_without_a_log_there_is_nowhere_to_begin(trained_copy, tmp_path, monkeypatch):
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "home"))
    asked = replace(request(tmp_path, "model"), models_dir=trained_copy)
    with pytest.raises(DatasetError, match="no episodes, in whose states rollouts begin"):
        make_plan(asked)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no episode files"):
        make_plan(replace(asked, episodes=[tmp_path / "empty"]))


@pytest.mark.slow
def test_some_hundred_steps_from_the_command_line_end_in_a_version(tmp_path):
    words = ["policy", "valve", "--from", "sim", "--goal", "angle=1.0", "--models-dir", str(tmp_path / "models")]
    words += ["--runs-dir", str(tmp_path / "runs")]
    options = {**TINY, "env_steps": 400, "evaluate_every": 400, "hidden": [32, 32], "batch": 64}
    words += [f"--set={name}={json.dumps(value).replace(' ', '')}" for name, value in options.items()]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "valve v0001 has the policy" in done.output
    assert "440 real steps" in done.output
    assert Registry(tmp_path / "models").resolve("valve", "v0001").check_digest().policy.kind == "sac"
