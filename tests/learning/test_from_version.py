# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A run that starts from a version: its steps, what is old and new data, and how both count."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("mujoco")

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.import_onnx import weights_of
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.learning import compare, publish, run, schedule
from mbrl_controller.learning.task_plan import make_plan
from mbrl_controller.models.card import Version
from mbrl_controller.models.registry import Registry
from mbrl_controller.training import retrain

from ..trained_valve import TINY

SMALL = {
    "rounds": 2,
    "collect.plain": {"episodes": 5, "seconds": 4.0},
    "collect.explore.episodes": 0,
    "base.rehearsal": [{"name": "plain", "episodes": 2, "seconds": 2.0}],
    "base.old_weight": 0.5,
    "evaluate_episodes": 2,
    "threads": 1,
    "precision": "fp32",
    "planner.num_samples": 16,
    "training": {**TINY, "max_epochs": 2},
}
ALONE = {"base.rehearsal": [], "base.old_weight": 1.0, "rounds": 1}


def settings(models: Path, **changes: object) -> dict[str, object]:
    """Of a run on a hand with other physics, from the version of `models`."""
    return (
        {"base.version": "v0001", "base.models_dir": models, "sim_options": {"friction_factor": 0.5}} | SMALL | changes
    )


def learn(base: Path, models: Path, name: str = "run", **changes: object) -> run.LearnResult:
    should_stop = changes.pop("should_stop", lambda: False)
    return run.run(
        "valve", settings=settings(models, **changes), name=name, runs_dir=base, processes=1,
        should_stop=should_stop,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(scope="module")
def learned(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> run.LearnResult:
    return learn(tmp_path_factory.mktemp("second"), trained)


def test_it_begins_with_the_version_and_counts_only_this_hands_experience(learned: run.LearnResult) -> None:
    assert [(r.step, r.round, r.env_steps, r.version) for r in learned.rows] == [
        ("start", 0, 0, "v0000"),
        ("evaluate", 0, 0, "v0000"),
        ("collect", 0, 200, "v0000"),
        ("train", 1, 200, "v0001"),
        ("evaluate", 1, 200, "v0001"),
        ("collect", 1, 400, "v0001"),
        ("train", 2, 400, "v0002"),
        ("evaluate", 2, 400, "v0002"),
    ]
    trained = [r for r in learned.rows if r.step == "train"]
    assert [(r.start, r.transitions) for r in trained] == [("warm", 240), ("warm", 440)]  # with the 40 old ones
    assert [r.dropped for r in learned.rows if r.step == "collect"] == [0, 0]


def test_its_registry_keeps_both(learned: run.LearnResult, trained: Path) -> None:
    registry = Registry(learned.folder / "models")
    first, own = registry.resolve("valve", "v0000"), Registry(trained).current("valve")
    assert [v.name for v in registry.versions("valve")] == ["v0000", "v0001", "v0002"]
    assert registry.resolve("valve", "v0001").card().spec.parent == "v0000"

    def weights(version: Version) -> dict[str, list[float]]:
        read = weights_of(version.read(version.model, version.check_digest()))[0]
        return {name: value.tolist() for name, value in read.items()}

    assert weights(first) == weights(own)
    assert weights(registry.resolve("valve", "v0001")) != weights(own)


def test_old_and_new_episodes_say_which_hand_they_are_of(learned: run.LearnResult) -> None:
    said = {}
    for folder in (learned.folder / "episodes" / "valve").iterdir():
        info = read_info(next(folder.glob("*.mcap")))
        said[folder.name.partition("-")[2]] = (info.model_version, json.loads(info.extra["sim_options"]))
    changed = {"friction_factor": 0.5}
    assert said == {
        "old-plain": ("v0000", {}),
        "r000-plain": ("v0000", changed),
        "r001-plain": ("v0001", changed),
    }


def test_stopped_anywhere_it_goes_on_to_the_same_result(
    learned: run.LearnResult, trained: Path, tmp_path: Path
) -> None:
    for polls in (1, 9):
        asked = iter(range(10_000))
        name = f"run{polls}"
        stopped = learn(tmp_path, trained, name, should_stop=lambda a=asked, p=polls: next(a) >= p)
        assert not stopped.finished
        resumed = run.run("valve", name=name, resume=True, runs_dir=tmp_path, processes=1)
        assert [row.same() for row in resumed.rows] == [row.same() for row in learned.rows]


def test_weights_of_old_data_change_what_is_learnt(learned: run.LearnResult, trained: Path, tmp_path: Path) -> None:
    def first(result: run.LearnResult) -> str:
        return next(row.weights for row in result.rows if row.step == "train")

    alike = learn(tmp_path, trained, "alike", **{"base.old_weight": 1.0, "rounds": 1})
    none = learn(tmp_path, trained, "none", **ALONE)
    assert len({first(learned), first(alike), first(none)}) == 3
    assert [row.transitions for row in none.rows if row.step == "train"] == [200]


def test_the_versions_own_episodes_are_old_data(
    trained: Path, valve_episodes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    own = retrain.run

    def heard(request: retrain.RetrainRequest, *rest: object) -> retrain.RetrainResult:
        asked.append(request)
        return own(request, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("mbrl_controller.learning.rounds.retrain.run", heard)
    options = {**ALONE, "base.old_episodes": [valve_episodes], "base.old_weight": 0.25}
    result = learn(tmp_path, trained, **options)
    assert asked[0].weights == dict.fromkeys(valve_episodes.glob("*.mcap"), 0.25)
    assert len(asked[0].episodes) == 12 + 5
    assert result.rows[3].transitions > 200


def test_it_takes_the_shape_of_the_version_and_what_the_task_says_of_adapting(trained: Path) -> None:
    plan = make_plan("valve", settings={"base.version": "current", "base.models_dir": trained})
    assert (plan.base.version, len(plan.base.model_sha256)) == ("v0001", 64)
    assert (list(plan.training.hidden), plan.training.ensemble_size) == (TINY["hidden"], TINY["ensemble_size"])
    assert plan.start_of(1) == "warm"
    afresh = plan.model_copy(update={"fresh_every": 2})
    assert [afresh.start_of(n) for n in range(1, 5)] == ["warm", "fresh", "warm", "fresh"]
    baoding = make_plan("baoding", settings={"base.version": "v0002", "base.models_dir": share_dir() / "models"})
    assert (baoding.fresh_every, baoding.min_data_growth) == (0, 0.0)
    assert not any(behaviour.exploration for behaviour in baoding.collect)
    assert schedule.rehearsal_batches(baoding)
    assert make_plan("baoding").fresh_every == 3


def test_no_seed_is_used_twice(trained: Path) -> None:
    plan, robot = make_plan("valve", settings=settings(trained)), contract_for("valve")
    made = schedule.rehearsal_batches(plan)
    made += [batch for number in range(900) for batch in schedule.round_batches(plan, robot, number, 10_000)]
    taken = sorted((range(batch.seed, batch.seed + batch.episodes) for batch in made), key=lambda seeds: seeds.start)
    assert all(one.stop <= other.start for one, other in itertools.pairwise(taken))
    assert taken[-1].stop <= schedule.first_seed(plan.model_copy(update={"seed": 1}), 0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"base.version": "v0009"}, "v0009"),
        ({"base.version": ""}, "from-version"),
        ({"training.hidden": [16]}, r"\[32, 32\]"),
        ({"base.old_episodes": ["nowhere"]}, "nowhere"),
        ({"base.old_weight": 0.0}, "old_weight"),
        ({"base.rehearsal_sim": "harsh"}, "harsh"),
        ({"base.rehearsal": [{"name": "plain", "episodes": 1, "goal": {"colour": 1}}]}, "plain"),
        ({"collect.plain.episodes": 1}, "40 control steps"),
        ({"env_steps": 100}, "env_steps"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(
    trained: Path, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    with pytest.raises(MbrlError, match=named):
        learn(tmp_path, trained, **changes)
    assert not list(tmp_path.rglob("plan.json"))


def test_a_real_hands_episodes_are_its_evaluation_from_the_first_round_on(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rclpy")

    def act(self: object, step: str, number: int) -> dict[str, int]:
        return {"steps": 200} if step == "collect" else {}

    monkeypatch.setattr(run.RoundRunner, "run", act)
    real = {"hand": "real", "through_ros": True, "rounds": 1}
    with pytest.raises(MbrlError, match="mix"):  # the version's world is simulated
        learn(tmp_path, trained, **real)
    result = learn(tmp_path, trained, **real, mix=["worlds"])
    assert [(row.step, row.round, row.env_steps) for row in result.rows] == [
        ("start", 0, 0),
        ("collect", 0, 200),
        ("evaluate", 0, 200),
        ("train", 1, 200),
        ("collect", 1, 400),
        ("evaluate", 1, 400),
    ]


def test_until_a_new_version_is_accepted_the_first_one_collects(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = run.RoundRunner.run

    def act(self: run.RoundRunner, step: str, number: int) -> dict[str, object]:
        if step == "accept":
            return {"version": f"v{number:04d}", "accepted": number == 0, "return_mean": -float(number)}
        return own(self, step, number)  # type: ignore[arg-type]

    monkeypatch.setattr(run.RoundRunner, "run", act)
    rows = learn(tmp_path, trained, **ALONE | {"rounds": 2, "acceptance_test": "not_worse"}).rows
    assert [(row.step, row.round) for row in rows[:5]] == [
        ("start", 0), ("accept", 0), ("evaluate", 0), ("collect", 0), ("train", 1)
    ]  # fmt: skip
    assert [row.version for row in rows if row.step == "collect"] == ["v0000", "v0000"]


def test_a_version_that_was_exchanged_meanwhile_is_refused(trained: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(trained, models)
    stopped = learn(tmp_path, models, should_stop=lambda: True)
    assert not stopped.rows
    plan = json.loads((stopped.folder / "plan.json").read_text())
    plan["base"]["model_sha256"] = "0" * 64
    (stopped.folder / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(MbrlError, match="not the version any more"):
        run.run("valve", name="run", resume=True, runs_dir=tmp_path, processes=1)


def test_the_curve_counts_the_drops_on_the_way(learned: run.LearnResult, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(learned.folder / "plan.json", folder)
    rows = [json.loads(line) for line in (learned.folder / "log.jsonl").read_text().splitlines()]
    for row, dropped in zip([row for row in rows if row["step"] == "collect"], (2, 1), strict=True):
        row["dropped"] = dropped
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (table,) = compare.tables(compare.compare_runs([folder]))
    drops = next(column for column in table.columns if column.header == "drops")
    assert list(drops.cells) == ["0", "2", "3"]


def test_the_best_is_kept_with_the_version_that_it_came_from(learned: run.LearnResult, tmp_path: Path) -> None:
    kept = publish.publish(learned, tmp_path / "models")
    assert "--from-version v0001" in kept.check_digest().command
