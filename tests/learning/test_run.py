# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The learning loop: what its plan says, that a seed gives a run again, and that nothing is lost when it is killed."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")

from mbrl_controller.base.deprecated import RenamedWarning
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.control.task_config import contract_for, planner_defaults, task_defaults
from mbrl_controller.learning import compare, plots, publish, run, schedule
from mbrl_controller.learning.callbacks import LearnCallback
from mbrl_controller.learning.config import MAX_EPISODES, OWN_SEEDS, LearnPlan
from mbrl_controller.learning.eta import eta_seconds
from mbrl_controller.learning.log import Row, RunLog, read_rows
from mbrl_controller.learning.task_plan import make_plan
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.catalog import make_planner

from ..trained_valve import TINY

SHORT = {"episodes": 2, "seconds": 1.0}
SMALL = {
    "rounds": 2,
    "random_episodes": 8,
    "random_seconds": 3.0,
    **{f"collect.{name}.{option}": value for name in ("plain", "explore") for option, value in SHORT.items()},
    "evaluate_episodes": 2,
    "threads": 1,
    "precision": "fp32",
    "planner.num_samples": 16,
    **{f"training.{name}": value for name, value in TINY.items()},
}


def learn(base: Path, name: str = "run", **changes) -> run.LearnResult:
    settings = {**SMALL, **changes.pop("settings", {})}
    return run.run("valve", settings=settings, name=name, runs_dir=base, processes=1, **changes)


def resume(base: Path, name: str = "run", **changes) -> run.LearnResult:
    return run.run("valve", name=name, resume=True, runs_dir=base, processes=1, **changes)


def same(rows: list[Row]) -> list[dict[str, object]]:
    return [row.same() for row in rows]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> run.LearnResult:
    return learn(tmp_path_factory.mktemp("learned"))


# --- the plan -------------------------------------------------------------------------------------------------------


def test_a_plan_takes_the_tasks_defaults_and_what_is_set_above_them() -> None:
    plan = make_plan("valve")
    defaults = task_defaults("valve")
    assert plan.env_steps == defaults.learning["env_steps"]
    training = {**defaults.training, **defaults.learning["training"]}
    assert list(plan.training.hidden) == training["hidden"]
    wanted = planner_defaults("valve", "pddm").planner_options
    assert {name: plan.planner[name] for name in wanted} == wanted
    assert plan.planner["iterations"] >= 1  # also what config/tasks.yaml leaves to the planner itself
    changed = make_plan("valve", seed=3, settings={"min_data_growth": 0.5, "training.batch": 64, "core.risk.k": 2.0})
    assert (changed.seed, changed.min_data_growth, changed.training.batch) == (3, 0.5, 64)
    assert changed.training.hidden == plan.training.hidden
    assert changed.core.risk.k == 2.0


def test_an_end_that_is_asked_for_takes_the_place_of_the_tasks_own() -> None:
    robot = contract_for("valve")
    plan = make_plan("valve", settings={"env_steps": 5000})
    assert plan.rounds is None
    room = 5000 - plan.max_env_steps(0, robot)  # a run takes no more than it was given
    assert [plan.is_last(n, p, robot) for n, p in ((1, 0), (50, room), (2, room + 1))] == [False, False, True]
    both = make_plan("valve", settings={"env_steps": 5000, "rounds": 3})
    assert [both.is_last(n, 0, robot) for n in (2, 3)] == [False, True]
    assert make_plan("baoding").rounds is None
    rounds = make_plan("baoding", settings={"rounds": 3})
    assert (rounds.rounds, rounds.env_steps) == (3, None)


@pytest.mark.parametrize(("limit", "said"), [(479, True), (480, False)])
def test_a_limit_that_random_motion_alone_exceeds_is_said(limit: int, said: bool, tmp_path: Path) -> None:
    class Notes(LearnCallback):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def on_note(self, text: str) -> None:
            self.notes.append(text)

    settings = {"random_scales": [1.0, 0.5], "env_steps": limit}
    heard = Notes()
    learn(tmp_path, settings=settings, callback=heard, should_stop=lambda: True)
    assert any("random motion" in note for note in heard.notes) == said


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"training.colour": "red"}, "colour"),
        ({"planner.colour": "red"}, "colour"),
        ({"min_data_growth": -1}, "min_data_growth"),
        ({"random_episodes": 6}, "180 control steps"),
        ({"evaluation_seed": OWN_SEEDS}, "evaluation_seed"),
    ],
)
def test_what_does_not_fit_is_named_before_anything_runs(tmp_path: Path, settings: dict, named: str) -> None:
    with pytest.raises(MbrlError, match=named):
        learn(tmp_path, settings=settings)
    assert not list(tmp_path.rglob("plan.json"))


def test_no_episode_has_a_seed_of_another_or_of_the_evaluation() -> None:
    taken: list[range] = []
    for seed in (0, 1):
        settings = {"random_scales": [1.0, 0.5], "min_data_growth": 1.0, "collect.third.episodes": 1}
        plan, contract = make_plan("valve", seed=seed, settings=settings), contract_for("valve")
        made = schedule.random_batches(plan)
        made += [s for r in range(1, 900) for s in schedule.round_batches(plan, contract, r, 10_000_000)]
        assert max(s.episodes for s in made) == MAX_EPISODES
        taken += [range(s.seed, s.seed + s.episodes) for s in made]
    taken.sort(key=lambda seeds: seeds.start)
    assert all(one.stop <= next_one.start for one, next_one in itertools.pairwise(taken))
    assert taken[0].start >= OWN_SEEDS > plan.evaluation_seed + plan.evaluate_episodes


# --- a run ----------------------------------------------------------------------------------------------------------


def test_a_run_goes_through_its_steps_and_counts_its_experience(learned: run.LearnResult) -> None:
    assert learned.finished
    steps = [(r.step, r.round, r.env_steps) for r in learned.rows]
    assert steps == [
        ("random", 0, 240),
        ("train", 1, 240),
        ("evaluate", 1, 240),
        ("collect", 1, 280),
        ("train", 2, 280),
        ("evaluate", 2, 280),
    ]
    assert learned.rows[-1].robot_minutes == pytest.approx(280 * 0.1 / 60)
    assert [r.transitions for r in learned.rows if r.step == "train"] == [240, 280]
    assert learned.rows[3].episodes == 4
    assert read_rows(learned.folder / "log.jsonl") == learned.rows
    registry = Registry(learned.folder / "models")
    assert [v.name for v in registry.versions("valve")] == ["v0001", "v0002"]
    assert registry.current("valve").check_digest().spec.parent == "v0001"


def test_a_run_can_be_watched(learned: run.LearnResult) -> None:
    assert (learned.folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(learned.folder / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("evaluate/goal_rate")] == [240, 280]
    trained = [r.one_step_nrmse for r in learned.rows if r.step == "train"]
    assert [e.value for e in events.Scalars("train/one_step_nrmse")] == pytest.approx(trained)


def test_without_tensorboard_it_says_so_once_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    notes: list[str] = []
    callback = LearnCallback()
    monkeypatch.setattr(callback, "on_note", notes.append)
    assert learn(tmp_path, settings={"rounds": 1}, callback=callback).finished
    assert len(notes) == 1
    assert "TensorBoard" in notes[0]
    assert "pip install" in notes[0]


def test_a_seed_gives_a_run_again_and_another_does_not(learned: run.LearnResult, tmp_path: Path) -> None:
    again, other = learn(tmp_path, "again"), learn(tmp_path, "other", seed=1)
    assert same(again.rows) == same(learned.rows)
    assert other.rows[1].weights != learned.rows[1].weights


class Killer(LearnCallback):
    """Ends the process as kill -9 does, at the n-th thing that happens."""

    def __init__(self, after: int) -> None:
        self.left = after

    def happened(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    on_step_start = on_step_end = on_episode_end = on_stage = on_file_read = on_epoch_end = happened  # type: ignore


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_result(learned: run.LearnResult, tmp_path: Path) -> None:
    """Killed again and again, each time somewhere else."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from tests.learning import test_run as t; from mbrl_controller.models import registry;"
        "b = Path(sys.argv[2]); registry.share_dir = lambda: b;"
        "k = t.Killer(int(sys.argv[3]));"
        "(t.resume if (b / 'learn/valve/run/plan.json').exists() else t.learn)(b, callback=k)"
    )
    root = Path(__file__).resolve().parents[2]
    draw = random.Random()
    moments = [draw.randint(1, 60) for _ in range(3)]
    for after in moments:
        command = [sys.executable, "-c", code, str(root), str(tmp_path), str(after)]
        ended = subprocess.run(command, cwd=root, timeout=120, capture_output=True, text=True)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    resumed = resume(tmp_path)
    assert same(resumed.rows) == same(learned.rows), f"killed after {moments}"


def test_stopping_keeps_what_was_reached(learned: run.LearnResult, tmp_path: Path) -> None:
    for polls in (0, 5, 9, 20):
        asked = iter(range(10_000))
        stopped = learn(tmp_path, f"run{polls}", should_stop=lambda a=asked, p=polls: next(a) >= p)
        assert not stopped.finished
        assert same(resume(tmp_path, f"run{polls}").rows) == same(learned.rows)


def test_resuming_takes_nothing_but_the_plan_on_disk(learned: run.LearnResult, tmp_path: Path, monkeypatch) -> None:
    stopped = learn(tmp_path, should_stop=lambda: True)
    assert not stopped.rows
    monkeypatch.setattr("mbrl_controller.learning.run.make_plan", None)
    with pytest.raises(MbrlError, match="own plan"):
        resume(tmp_path, seed=3)
    resumed = run.run("valve", resume=True, runs_dir=tmp_path, processes=1)
    assert resumed.plan == stopped.plan
    assert same(resumed.rows) == same(learned.rows)
    with pytest.raises(MbrlError, match="no unfinished run"):
        run.run("valve", resume=True, runs_dir=tmp_path)


def test_a_name_is_used_once_and_one_process_has_a_run(tmp_path: Path) -> None:
    class Second(LearnCallback):
        def on_step_start(self, name: str, number: int, episodes: int) -> None:
            with pytest.raises(MbrlError, match="another process"):
                resume(tmp_path)

    stop = iter([False, True])
    learn(tmp_path, callback=Second(), should_stop=lambda: next(stop))
    with pytest.raises(MbrlError, match="--resume"):
        learn(tmp_path)
    with pytest.raises(MbrlError, match="name"):
        learn(tmp_path, "../elsewhere")
    with pytest.raises(MbrlError, match="cannot be read"):
        resume(tmp_path, "unknown")


# --- its log --------------------------------------------------------------------------------------------------------


def a_row(**changes) -> Row:
    values = {"step": "train", "round": 1, "env_steps": 100, "robot_minutes": 0.2, "wall_s": 1.0, "total_s": 2.0}
    return Row(**{**values, "ended": "now", **changes})


@pytest.mark.parametrize("torn", [b"{", b'{"step":"train","ro', b"\x00\x00", a_row().model_dump_json().encode()])
def test_a_torn_last_line_is_made_again(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "log.jsonl"
    RunLog(path).append(a_row())
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    log = RunLog(path)
    assert log.rows == [a_row()]
    log.append(a_row(step="evaluate"))
    assert read_rows(path) == [a_row(), a_row(step="evaluate")]


def test_a_damaged_line_elsewhere_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"{}\n" + a_row().model_dump_json().encode() + b"\n")
    with pytest.raises(MbrlError, match="line 1"):
        RunLog(path)


def test_the_time_left_grows_with_the_data() -> None:
    plan = LearnPlan.model_construct(rounds=4, env_steps=None, evaluate_every=2)
    rows = [a_row(step="random", round=0, env_steps=100, wall_s=5.0)]
    assert eta_seconds(plan, rows, contract_for("valve")) is None
    rows += [a_row(step="train", round=1, env_steps=100, wall_s=10.0), a_row(step="collect", env_steps=200, wall_s=3.0)]
    # trainings of 200, 300 and 400 steps at .1 s each, two more collections; no evaluation was seen yet
    assert eta_seconds(plan, rows, contract_for("valve")) == pytest.approx(20 + 3 + 30 + 3 + 40)
    rows += [a_row(round=4, env_steps=400, wall_s=40.0), a_row(step="evaluate", round=4, env_steps=400, wall_s=4.0)]
    assert eta_seconds(plan, rows, contract_for("valve")) == 0


def test_the_time_left_knows_that_rounds_grow() -> None:
    plan = LearnPlan.model_construct(rounds=3, env_steps=None, evaluate_every=3, min_data_growth=1.0)
    rows = [a_row(step="random", round=0, env_steps=100), a_row(env_steps=100, wall_s=10.0)]
    rows += [a_row(step="collect", env_steps=200, wall_s=3.0)]
    # trainings of 200 and 400 steps at .1 s each; between them a collection of 200 steps at .03 s each
    assert eta_seconds(plan, rows, contract_for("valve")) == pytest.approx(20 + 6 + 40)


# --- what becomes of it ---------------------------------------------------------------------------------------------


def test_the_best_version_reaches_most_goals_and_of_equals_returns_most() -> None:
    figures = [("v0001", 0.2, -30.0), ("v0002", 0.9, -700.0), ("v0003", 0.9, -40.0), ("v0004", 0.5, -20.0)]
    rows = [a_row(step="evaluate", version=name, goal_rate=goals, return_mean=mean) for name, goals, mean in figures]
    best = run.LearnResult(Path(), LearnPlan.model_construct(), rows, True).best
    assert best is not None
    assert best.version == "v0003"


def test_the_best_version_is_kept_under_a_name_of_its_new_registry(learned: run.LearnResult, tmp_path: Path) -> None:
    from mbrl_controller.models.onnx_ensemble import OnnxEnsemble

    best = learned.best_version()
    assert best is not None
    worth = {r.version: (r.goal_rate, r.return_mean) for r in learned.rows if r.step == "evaluate"}
    assert worth[best.name] == max(worth.values())
    publish.publish(learned, tmp_path)
    kept = publish.publish(learned, tmp_path)
    assert Registry(tmp_path).current("valve").name == kept.name == "v0002"
    card = kept.check_digest()
    assert card.spec == OnnxEnsemble.load(kept.model).spec
    assert (card.spec.version, card.spec.parent) == ("v0002", "")
    assert card.spec.data_digest == best.card().spec.data_digest
    assert (kept.folder / "report.md").read_text().startswith(f"# valve v0002\n\nWas valve {best.name} of the run ")
    assert run.read_plan(kept.folder) == learned.plan


def test_runs_are_compared_by_their_options(learned: run.LearnResult, tmp_path: Path) -> None:
    base = learned.folder.parent
    learn(base.parents[1], "seed1", seed=1)
    learn(base.parents[1], "noisy", settings={"collect.explore.exploration": 0.5})
    found = compare.compare_runs([base])
    assert sorted({f.group for f in found}) == [f"valve collect.explore.exploration={e}" for e in (0.2, 0.5)]
    compare.plot(tmp_path / "bands.png", found)
    assert (tmp_path / "bands.png").read_bytes().startswith(b"\x89PNG")
    assert [table.row_count for table in compare.tables(found)] == [2, 2]
    assert len(compare.report(found)["valve collect.explore.exploration=0.2"]) == 2
    with pytest.raises(MbrlError, match="no learning run"):
        compare.compare_runs([tmp_path])


def test_a_behaviour_that_a_plan_lacks_is_named_by_its_episodes(tmp_path: Path) -> None:
    changes = {"as-is": {}, "other": {"collect.calm.core.risk.k": 0.0, "collect.calm.episodes": 9}, "less": {}}
    for name, settings in changes.items():
        plan = make_plan("valve", settings=settings)
        if name == "less":
            plan = plan.model_copy(update={"collect": plan.collect[:1]})
        (tmp_path / name).mkdir()
        (tmp_path / name / "plan.json").write_text(plan.model_dump_json())
        RunLog(tmp_path / name / "log.jsonl").append(a_row())
    groups = {found.folder.name: found.group for found in compare.compare_runs([tmp_path])}
    assert groups == {
        "as-is": "valve collect.calm.episodes=0 collect.explore.episodes=10",
        "less": "valve collect.calm.episodes=0 collect.explore.episodes=0",
        "other": "valve collect.calm.episodes=9 collect.explore.episodes=10",
    }


def test_a_common_grid_goes_as_far_as_every_run() -> None:
    import numpy as np

    assert plots.common_grid([np.array([1.0, 3.0, 5.0]), np.array([2.0, 4.0])]).tolist() == [2.0, 3.0, 4.0]


def test_times_are_read_as_people_say_them() -> None:
    from mbrl_controller.cli.progress import duration

    assert [duration(s) for s in (5.2, 65, 3723, 600)] == ["5 s", "1:05", "1:02:03", "10:00"]


# --- as a command ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_shows_a_line_a_step_and_says_how_to_go_on(tmp_path: Path) -> None:
    def mbrl(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MBRL_HOME": str(tmp_path), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "mbrl_controller", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    pairs = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}".replace(" ", ""))]
    done = mbrl("learn", "valve", "--run", "a", "--processes", "1", *pairs)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stderr.splitlines()]
    steps = [(words[1], words[2]) for words in lines if len(words) > 3 and words[3] == "steps"]
    assert steps == [
        ("random", "240"),
        ("train", "240"),
        ("evaluate", "240"),
        ("collect", "280"),
        ("train", "280"),
        ("evaluate", "280"),
    ]
    assert "best version" in done.stdout
    kept = mbrl("learn", "valve", "--resume", "--run", "a", "--keep")
    assert kept.returncode == 0, kept.stderr
    assert "is current in your models" in kept.stdout
    assert Registry(tmp_path / "models").current("valve").card().command == "mbrl learn valve --seed 0"
    curves = mbrl("learn-curve", str(tmp_path / "runs/learn/valve"), "--plot", str(tmp_path / "c.png"))
    assert "1 run, seed 0" in curves.stdout
    assert (tmp_path / "c.png").exists()
    wrong = mbrl("learn", "valve", "--set", "colour=red")
    assert (wrong.returncode, wrong.stderr.strip().startswith("error: learning options: colour")) == (2, True)


# --- runs of version 0.1 --------------------------------------------------------------------------------------------

OLD_PLAN = {"env_steps": "points", "min_data_growth": "grow", "acceptance_test": "accept",
            "acceptance_episodes": "accept_episodes", "acceptance_margin": "accept_margin"}  # fmt: skip


def make_old(folder: Path, rows: int) -> None:
    """Write the plan and the first `rows` rows of the log in `folder` as version 0.1 did."""
    plan = json.loads((folder / "plan.json").read_text())
    plan = {OLD_PLAN.get(name, name): value for name, value in plan.items()}
    for collection in plan["collect"]:
        collection["from_points"] = collection.pop("from_env_steps")
    (folder / "plan.json").write_text(json.dumps(plan))
    lines = (folder / "log.jsonl").read_text().splitlines(keepends=True)[:rows]
    (folder / "log.jsonl").write_text("".join(line.replace('"env_steps":', '"points":') for line in lines))


RECORDS = sorted((Path(__file__).parents[2] / "benchmarks" / "learning").glob("*"))
OLD_RECORDS = [folder for folder in RECORDS if "-seed" in folder.name and "-second" not in folder.name]


def test_some_shipped_records_are_of_version_0_1() -> None:
    assert len(OLD_RECORDS) == 6
    assert all('"points":' in (folder / "log.jsonl").read_text() for folder in OLD_RECORDS)


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.name)
def test_the_shipped_records_of_all_versions_are_read_without_a_warning(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows, plan = read_rows(folder / "log.jsonl"), run.read_plan(folder)
        robot = parse_contract(plan.contract)
        for collection in plan.collect:
            plan.core_of(collection)
            make_planner(plan.planner_name, len(robot.action), plan.planner_of(collection))
    assert 0 < rows[-1].env_steps <= (plan.env_steps or rows[-1].env_steps)
    assert '"points"' not in plan.model_dump_json()


def test_a_run_of_version_0_1_resumes_to_the_same_result(learned: run.LearnResult, tmp_path: Path) -> None:
    folder = tmp_path / "learn" / "valve" / "run"
    shutil.copytree(learned.folder, folder)
    make_old(folder, 4)
    (folder / "done").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RenamedWarning)
        resumed = resume(tmp_path)
    assert same(resumed.rows) == same(learned.rows)
    assert {compared.group for compared in compare.compare_runs([tmp_path / "learn" / "valve", learned.folder])} == {
        "valve"
    }


def test_old_names_of_options_are_taken_with_a_warning() -> None:
    old = {"points": 5000, "grow": 0.2, "accept": "not_worse", "accept_episodes": 3, "accept_margin": 0.3,
           "collect.plain.from_points": 0, "collect.explore.from_points": 7}  # fmt: skip
    new = {"env_steps": 5000, "min_data_growth": 0.2, "acceptance_test": "not_worse", "acceptance_episodes": 3,
           "acceptance_margin": 0.3, "collect.explore.from_env_steps": 7}  # fmt: skip
    with pytest.warns(RenamedWarning, match=r"grow is now min_data_growth"):
        assert make_plan("valve", settings=old) == make_plan("valve", settings=new)
    with pytest.raises(MbrlError, match="points is the old name of env_steps"):
        make_plan("valve", settings={"points": 1, "env_steps": 1})
