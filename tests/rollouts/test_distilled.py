# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes in which a version's policy acts, alone or for late plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control import task_config
from mbrl_controller.control.task_config import contract_for, task_defaults
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.rollouts import collect, evaluate
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeTrajectory

from ..versions import version_with_heads

SMALL = {"num_samples": 16, "horizon": 3}
VALVE = contract_for("valve", None)
ACTED = VALVE.action.to_target(np.full(len(VALVE.action), 0.5))


def config(folder: Path, **more: Any) -> RolloutConfig:
    return RolloutConfig("valve", models_dir=folder / "models", planner_options=SMALL, seconds=1.0, **more)


def episode(folder: Path, seed: int = 0, **more: Any) -> EpisodeTrajectory:
    return EpisodeRunner(resolve(config(folder, **more)).spec).run(seed)


@pytest.mark.parametrize("model", [True, False])
def test_the_policy_acts_alone_with_a_model_and_without(tmp_path: Path, model: bool) -> None:
    version_with_heads(VALVE, tmp_path, model=model)
    resolved = resolve(config(tmp_path, policy="distilled"))
    trajectory = EpisodeRunner(resolved.spec).run(0)
    assert set(trajectory.sources) == {"policy"}
    np.testing.assert_allclose(trajectory.commands[-1], ACTED, atol=1e-6)  # it has got there
    assert resolved.version == "v0001"
    assert len(resolved.digest) == 64
    assert (resolved.precision == "fp32") is model
    assert trajectory.network_evaluations is not None
    assert set(trajectory.network_evaluations) == ({1.0})  # a linear model has no scale to disagree by


def test_auto_is_what_the_task_says_and_the_planner_where_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "both").mkdir()
    (tmp_path / "model").mkdir()
    version_with_heads(VALVE, tmp_path / "both")
    version_with_heads(VALVE, tmp_path / "model", policy=None)

    def acts(folder: str = "both", **more: Any) -> str:
        return resolve(
            RolloutConfig("valve", models_dir=tmp_path / folder / "models", policy="auto", **more)
        ).spec.policy

    def task_says(who: str) -> None:
        asked = task_defaults("valve").model_copy(update={"policy": who})
        monkeypatch.setattr(task_config, "task_defaults", lambda task: asked)

    task_says("controller")
    assert acts() == "controller"
    task_says("auto")
    assert acts() == "distilled"
    both = RolloutConfig("valve", models_dir=tmp_path / "both" / "models", policy="auto", seconds=0.2)
    report = evaluate.run(both, episodes=1, processes=1)
    assert (report["policy"], report["planner"]) == ("distilled", None)
    assert acts("model") == "controller"
    assert acts(core_options={"max_goal_lead": 0.5}) == "distilled"
    for core in ({"terminal": "none"}, {"risk.k": 1.0}):
        assert acts(core_options=core) == "controller"
    others = ({"goal_options": {"angle": 1.0}}, {"sim": "perturbed"}, {"sim_options": {"friction": 0.5}})
    for named in ({"planner": "cem"}, {"planner_options": SMALL}, {"late_share": 0.3}, {"dynamics": "oracle"}, *others):
        assert acts(**named) == "controller"


def test_a_policy_alone_cannot_plan(tmp_path: Path) -> None:
    version_with_heads(VALVE, tmp_path, model=False)
    with pytest.raises(MbrlError, match="no model, only a policy"):
        resolve(config(tmp_path))


def test_what_a_version_has_not_is_said_before_anything_runs(tmp_path: Path) -> None:
    version_with_heads(VALVE, tmp_path, policy=None)
    with pytest.raises(MbrlError, match="no policy"):
        resolve(config(tmp_path, policy="distilled"))
    with pytest.raises(MbrlError, match="dynamics learned"):
        resolve(config(tmp_path, policy="distilled", dynamics="oracle"))
    for options in ({"terminal": "value"}, {"fallback": "policy"}):
        with pytest.raises(MbrlError, match="v0001 has no"):
            episode(tmp_path, core_options=options)


def test_a_share_of_plans_is_late_the_same_each_time_and_the_fallback_acts(tmp_path: Path) -> None:
    version_with_heads(VALVE, tmp_path)
    first, again, other = (episode(tmp_path, seed, late_share=0.4) for seed in (3, 3, 4))
    assert set(first.sources) == {"plan", "policy"}
    np.testing.assert_array_equal(first.commands, again.commands)
    assert first.sources == again.sources != other.sources
    assert set(episode(tmp_path, 3, late_share=1.0).sources) == {"policy"}
    before = episode(tmp_path, 3, late_share=0.4, core_options={"fallback": "previous_plan"})
    assert "previous_plan" in before.sources
    assert "policy" not in before.sources
    # The same plans are late, whatever acts instead.
    assert [s == "plan" for s in before.sources] == [s == "plan" for s in first.sources]


def test_the_report_says_who_acted_and_what_it_took(tmp_path: Path) -> None:
    version_with_heads(VALVE, tmp_path)
    file = tmp_path / "report.json"
    report = evaluate.run(config(tmp_path, late_share=0.4), episodes=2, processes=1, json_file=file)
    assert sum(report["command_sources"].values()) == 20
    assert set(report["command_sources"]) == {"plan", "policy"}
    assert report["late_share"] == 0.4
    each = json.loads(file.read_text())["per_episode"]
    assert each["seed"] == [0, 1]
    assert np.mean(each["return"]) == pytest.approx(report["return_mean"])
    assert np.median(each["degrees_turned"]) == pytest.approx(report["degrees_turned_median"])
    plans = report["command_sources"]["plan"]
    assert report["network_evaluations_mean"] == pytest.approx((plans * 2 * 16 * 3 + (20 - plans)) / 20)
    assert json.loads(file.read_text())["policy_ms_median"] > 0
    with pytest.raises(MbrlError, match="plans in time"):
        evaluate.run(config(tmp_path, late_share=0.4), episodes=1, processes=1, on_card=True)
    alone = evaluate.run(config(tmp_path, policy="distilled"), episodes=1, processes=1)
    assert (alone["policy"], alone["planner"], alone["command_sources"]) == ("distilled", None, {"policy": 10})


def test_a_value_behind_the_horizon_changes_what_counts_and_nothing_else(tmp_path: Path) -> None:
    version_with_heads(VALVE, tmp_path, value=-7.0)
    plain, valued = episode(tmp_path), episode(tmp_path, core_options={"terminal": "value"})
    assert valued.network_evaluations is not None
    assert set(valued.network_evaluations) == {2 * 16 * 3 + 2 * 2 * 16}
    # The same value everywhere, so plans differ by the discount alone.
    assert valued.predicted_returns[0] != plain.predicted_returns[0]


def test_episodes_of_a_policy_are_logged_with_its_digest(tmp_path: Path) -> None:
    registry = version_with_heads(VALVE, tmp_path)
    done = collect.run(
        config(tmp_path, policy="distilled"), episodes=1, episodes_dir=tmp_path / "log", session="s", processes=1
    )
    (file,) = done.folder.glob("*.mcap")
    info = read_info(file)
    assert info.model_version == "v0001"
    assert info.extra["policy"] == "distilled"
    assert info.extra["policy_sha256"] == registry.resolve("valve", "v0001").card().heads["policy"].sha256
