# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From a planner to a version with policy and value: what is added, resumed, and what bad input gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("torch")

from mbrl_controller.base.errors import DatasetError, MbrlError
from mbrl_controller.models.card import HEAD_FILES, Version
from mbrl_controller.models.onnx_policy import OnnxPolicy
from mbrl_controller.models.onnx_value import OnnxValue
from mbrl_controller.models.registry import Registry
from mbrl_controller.training import distil
from mbrl_controller.training.distil_plan import DistilRequest

QUICK: dict[str, Any] = {"num_samples": 16, "horizon": 3}
SMALL = {"states": 90, "rounds": 1, "evaluate_episodes": 2, "value_steps": 4, "policy_hidden": [16]}


def run(trained: Path, base: Path, episodes: list[Path], stop_after: int = 10**9, processes: int = 1, **changes):
    asked = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > stop_after

    request = DistilRequest(
        "valve",
        models_dir=trained,
        runs_dir=base,
        episodes=episodes,
        planner_options=QUICK,
        **{"options": SMALL, **changes},
    )
    return distil.run(request, should_stop, processes=processes)


def heads(version: Version | None) -> dict[str, bytes]:
    assert version is not None
    files = [version.folder / name for name in HEAD_FILES.values()]
    return {file.name: file.read_bytes() for file in files if file.exists()}


@pytest.fixture
def registry(trained_copy: Path) -> Path:
    """Versions are added to it."""
    return trained_copy


def test_a_version_has_the_same_model_and_new_heads_and_says_how_they_were_made(tmp_path: Path, registry: Path) -> None:
    result = run(registry, tmp_path / "runs", [])
    before, after = Registry(registry).resolve("valve", "v0001"), Registry(registry).resolve("valve", "v0002")
    assert result.status == "added"
    assert Registry(registry).current("valve").name == "v0001"
    assert after.model.read_bytes() == before.model.read_bytes()
    card = after.check_digest()
    assert card.spec.parent == "v0001"
    assert card.policy is not None
    assert card.value is not None
    assert (card.policy.kind, card.value.kind) == ("distilled", "monte_carlo")
    assert card.policy.figures["states"] == 90
    assert 0 <= card.policy.figures["goal_rate"] <= 1
    assert "mbrl distil valve --model v0001" in card.policy.command
    assert card.policy.figures["action_rmse"] < 2
    policy, value = OnnxPolicy.load(after.head("policy")), OnnxValue.load(after.head("value"))
    assert policy.spec.goal_steps == (1, 2, 3)
    assert policy.spec.horizon == 3
    assert value.spec.discount == 0.9
    report = (after.folder / "report.md").read_text()
    assert "action_rmse" in report
    assert "# valve v0001" in report  # the report of the model stays


@pytest.mark.parametrize("stop_after", [0, 2, 5])
def test_a_stopped_run_resumes_to_the_same_bytes(
    tmp_path: Path, registry: Path, valve_episodes: Path, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbrl_controller.training.distil_rounds.STATES_OF_PIECE", 20)
    monkeypatch.setattr("mbrl_controller.training.distil_rounds.EPISODES_OF_PIECE", 1)
    created = "2026-01-01T00:00:00+00:00"
    plan_of = distil.make_plan
    monkeypatch.setattr(distil, "make_plan", lambda *a: plan_of(*a).model_copy(update={"created": created}))
    whole = run(registry, tmp_path / "whole", [valve_episodes])
    monkeypatch.setattr(
        "mbrl_controller.training.distil_publish._added_before", lambda run: None
    )  # the other run added one of this time
    stopped = run(registry, tmp_path / "stopped", [valve_episodes], stop_after)
    assert stopped.status == "stopped"
    assert stopped.version is None
    resumed = run(registry, tmp_path / "stopped", [], processes=1, resume=True)
    assert resumed.status == "added"
    assert heads(whole.version) == heads(resumed.version)
    assert set(heads(whole.version)) == {"policy.onnx", "value.onnx"}
    assert whole.policy.keys() == resumed.policy.keys()


def test_a_hand_without_a_world_learns_from_the_logs_states_alone(
    tmp_path: Path, registry: Path, valve_episodes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbrl_controller.training.distil_plan._why_no_world", lambda robot: "no world is known")
    monkeypatch.setattr("mbrl_controller.rollouts.episode.EpisodeRunner.__init__", None)  # nobody may simulate
    result = run(registry, tmp_path / "runs", [valve_episodes])
    assert result.status == "added"
    assert result.policy["states"] == 90
    assert "return_mean" not in result.policy
    assert any("no world is known" in note for note in result.notes)
    with pytest.raises(DatasetError, match="no world is known"):
        run(registry, tmp_path / "none", [])


def test_what_does_not_fit_is_refused_before_a_state_is_labelled(tmp_path: Path, registry: Path) -> None:
    with pytest.raises(MbrlError, match="v0009"):
        run(registry, tmp_path, [], model="v0009")
    with pytest.raises(MbrlError, match="no unfinished run"):
        run(registry, tmp_path, [], resume=True)
    with pytest.raises(MbrlError, match="no such folder"):
        run(registry, tmp_path, [tmp_path / "nowhere"])
    assert not list((tmp_path / "distil").glob("valve/*/"))


def test_heads_recorded_in_place_are_those_of_the_files(tmp_path: Path, registry: Path, valve_episodes: Path) -> None:
    result = run(registry, tmp_path / "runs", [valve_episodes], in_place=True, options={**SMALL, "rounds": 0})
    assert result.version is not None
    assert result.version.name == "v0001"
    assert set(result.version.check_digest().heads) == {"policy", "value"}
    assert len(Registry(registry).versions("valve")) == 1
    assert np.isfinite(list(result.value.values())).all()
