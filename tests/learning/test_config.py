# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a round collects: a list of behaviours, as they are written, checked, and scaled with the experience so far."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from mbrl_controller.base.deprecated import RenamedWarning
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import deep_merge, parse_overrides, unflatten
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.learning import schedule
from mbrl_controller.learning.compare import compare_runs
from mbrl_controller.learning.config import MAX_EPISODES, LearnPlan
from mbrl_controller.learning.run import read_plan
from mbrl_controller.learning.task_plan import make_plan
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.base import RENAMED as PLANNER_RENAMED

from .test_run import SMALL, learn, resume, same

BAODING = contract_for("baoding")
ONE = [{"name": "one", "episodes": 3}]
RUN = Path(__file__).resolve().parents[2] / "benchmarks" / "learning" / "baoding-seed0"  # of version 0.1


def baoding(**settings) -> LearnPlan:
    return make_plan("baoding", settings={"collect": ONE, "min_data_growth": 0.0, **settings})


def by_name(plan: LearnPlan, number: int = 1, env_steps: int = 0) -> dict[str, schedule.Session]:
    return {s.name[5:]: s for s in schedule.round_batches(plan, contract_for(plan.task), number, env_steps)}


# --- as written -----------------------------------------------------------------------------------------------------

names = st.text("abc-1", min_size=1, max_size=3)
options = st.dictionaries(st.sampled_from("xyz"), st.integers() | st.dictionaries(st.sampled_from("uv"), st.integers()))
behaviours = st.dictionaries(names, options)


@given(behaviours, behaviours)
def test_a_list_of_named_ones_is_merged_as_a_mapping_would_be(below: dict, above: dict) -> None:
    listed = [{"name": name, **own} for name, own in below.items()]
    result = deep_merge({"collect": listed}, {"collect": above})["collect"]
    wanted = deep_merge({"collect": below}, {"collect": above})["collect"]
    assert {b["name"]: {k: v for k, v in b.items() if k != "name"} for b in result} == wanted
    assert [b["name"] for b in result] == [*below, *(name for name in above if name not in below)]
    assert listed == [{"name": name, **own} for name, own in below.items()]  # nobody else's list is changed


@given(st.dictionaries(names, options), st.lists(names))
def test_a_list_above_replaces_what_is_below(below: dict, above: list) -> None:
    assert deep_merge({"collect": below}, {"collect": above}) == {"collect": above}


def test_one_behaviour_is_changed_by_its_name_and_the_others_stay() -> None:
    pairs = ["collect.bold.planner.ess_fraction=0.03", "collect.bold.goal.lead=0.5", "collect.bold.core.risk.k=0"]
    plan, plain = make_plan("baoding", settings=parse_overrides("--set", pairs)), make_plan("baoding")
    changed, before = ({b.name: b for b in p.collect} for p in (plan, plain))
    bold = changed.pop("bold")
    was = before.pop("bold")
    assert changed == before
    assert bold.planner == {**was.planner, "ess_fraction": 0.03}
    assert bold.goal == {**was.goal, "lead": 0.5}
    assert plan.core_of(bold).risk.kind == plan.core.risk.kind
    assert plan.core_of(bold).risk.k == 0.0 != plan.core.risk.k
    assert (bold.episodes, bold.start_turn) == (was.episodes, was.start_turn)


def test_a_new_name_adds_one_and_no_episodes_drop_one() -> None:
    plan = make_plan("valve", settings={"collect.calm.episodes": 7, "collect.plain.episodes": 0})
    assert {name: s.episodes for name, s in by_name(plan).items()} == {"explore": 10, "calm": 7}
    assert by_name(plan)["explore"].seed == by_name(make_plan("valve"))["explore"].seed


@pytest.mark.parametrize(
    "text", ["collect=[{name: only, episodes: 5}]", 'collect=[{"name": "only", "episodes": 5}]']
)  # YAML and JSON
def test_the_whole_list_can_be_given(text: str) -> None:
    plan = make_plan("baoding", settings=parse_overrides("--set", [text, "collect.only.exploration=0.2"]))
    assert [(b.name, b.episodes, b.exploration) for b in plan.collect] == [("only", 5, 0.2)]


def test_a_task_that_names_none_has_two(monkeypatch: pytest.MonkeyPatch) -> None:
    from mbrl_controller.learning import task_plan as module

    bare = module.task_defaults("valve").model_copy(update={"learning": {"rounds": 2}})
    monkeypatch.setattr(module, "task_defaults", lambda task: bare)
    made = by_name(make_plan("valve", settings={"collect.explore.seconds": 2.0}))
    shown = [(s.episodes, s.rollout.exploration, s.rollout.seconds) for s in made.values()]
    assert list(made) == ["plain", "explore"]
    assert shown == [(20, 0.0, None), (20, 0.1, 2.0)]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"collect.bold.planner.flavour": 1}, r"collect\.bold: .*flavour"),
        ({"collect.bold.planner.beta": 7}, r"collect\.bold: .*beta"),
        ({"collect.bold.core.colour": 1}, r"collect\.bold: core: colour"),
        ({"collect.bold.core.risk.k": -1}, r"collect\.bold: core: risk\.k"),
        ({"collect.bold.goal.colour": 1}, r"collect\.bold: .*colour"),
        ({"collect.bold.colour": 1}, r"collect\.bold: colour"),
        ({"collect.bold.episodes": MAX_EPISODES + 1}, r"collect\.bold: episodes"),
        ({"collect.bold.seconds": 0}, r"collect\.bold: seconds"),
        ({"collect.bolt.exploration": 0.1}, r"collect\.bolt: episodes"),  # a new one, by mistake
        ({"collect.bold": 3}, r"collect\.bold: expected options"),
        ({"collect.Bold.episodes": 3}, r"collect\.Bold: name"),
        ({"collect": [*ONE, *ONE]}, "one, one"),
        ({"collect": [{"episodes": 3}]}, r"collect\.0: name"),
        ({"collect": [7]}, r"collect\.0"),
        ({"collect": []}, "collect"),
        ({"collect": 7}, "collect"),
        ({"collect": [{"name": f"b{i}", "episodes": 1} for i in range(11)]}, "collect"),
        ({"collect": [{**ONE[0], "episodes": 0}]}, "collect"),
        ({"collect": [{**ONE[0], "from_env_steps": 1}]}, "collect"),  # the first round would collect nothing
    ],
)
def test_what_does_not_fit_is_named_with_its_behaviour(settings: dict, named: str) -> None:
    with pytest.raises(MbrlError, match=named):
        make_plan("baoding", settings=settings)


# --- what it comes to -----------------------------------------------------------------------------------------------


def test_a_behaviour_is_above_the_plan() -> None:
    one = {**ONE[0], "planner": {"beta": 1}, "core": {"drop_cost": 3.0}, "seconds": 2.0, "exploration": 0.3}
    plan = baoding(collect=[one, {"name": "other", "episodes": 1}], **{"planner.num_samples": 99})
    made = by_name(plan)
    who, other = made["one"].rollout, made["other"].rollout
    assert who.planner_options == {**plan.planner, "beta": 1.0}
    assert who.core == plan.core.model_copy(update={"drop_cost": 3.0})
    assert (who.seconds, who.exploration) == (2.0, 0.3)
    assert (other.planner_options, other.core) == (plan.planner, plan.core)
    assert (other.goal_options, other.sim_options, other.exploration) == ({}, {}, 0.0)


@pytest.mark.parametrize(
    ("goal", "wanted"),
    [
        ({}, {"phase": "observed"}),
        ({"lead": 0.4}, {"phase": "observed", "lead": 0.4}),
        ({"phase": 1.0}, {"phase": 1.0}),
    ],
)
def test_where_balls_start_turned_the_targets_begin_at_them(goal: dict, wanted: dict) -> None:
    who = by_name(baoding(collect=[{**ONE[0], "start_turn": 3.0, "goal": goal}]))["one"].rollout
    assert (who.sim_options, who.goal_options) == ({"start_turn": 3.0}, wanted)
    with pytest.raises(MbrlError, match=r"collect\.plain: valve"):
        make_plan("valve", settings={"collect.plain.start_turn": 1.0})


def test_some_begin_later() -> None:
    plan = baoding(**{"collect.late.episodes": 2, "collect.late.from_env_steps": 500})
    assert [list(by_name(plan, 2, env_steps)) for env_steps in (0, 499, 500, 9000)] == [
        ["one"],
        ["one"],
        ["one", "late"],
        ["one", "late"],
    ]
    assert by_name(plan, 2, 0)["one"] == by_name(plan, 2, 9000)["one"]


@given(st.floats(0, 1), st.integers(0, 300_000), st.integers(1, 40), st.integers(0, 40), st.floats(0.5, 20))
def test_a_round_grows_with_the_experience(grow: float, env_steps: int, one: int, two: int, seconds: float) -> None:
    listed = [{"name": "one", "episodes": one, "seconds": seconds}, {"name": "two", "episodes": two}]
    plan = LearnPlan(task="baoding", contract=BAODING.text, rounds=1, min_data_growth=grow, collect=listed)
    counts = [plan.episodes_of(b, env_steps, BAODING) for b in plan.collect]
    lengths = [max(1, round(s / BAODING.action.period)) for s in (seconds, BAODING.task.episode_s)]
    steps = sum(n * length for n, length in zip(counts, lengths, strict=True))
    assert plan.max_env_steps(env_steps, BAODING) == steps
    assert all(was <= n <= MAX_EPISODES for n, was in zip(counts, (one, two), strict=True))
    assert steps >= grow * env_steps * (1 - 1e-9) or max(counts) == MAX_EPISODES
    asked = one * lengths[0] + two * lengths[1]
    if grow * env_steps <= asked:
        assert counts == [one, two]
    else:  # the mix stays, but for what rounding up adds
        factor = grow * env_steps / asked
        for n, was in zip(counts, (one, two), strict=True):
            assert n <= was * factor + 1


def test_rounds_that_grow_and_change_go_on_after_a_stop(tmp_path: Path) -> None:
    """The random motion's 240 steps ask for 48 more; the second round has a third behaviour."""
    late = {"collect.late.episodes": 1, "collect.late.seconds": 1.0, "collect.late.from_env_steps": 285}
    settings = {**SMALL, **late, "min_data_growth": 0.2, "rounds": 3}
    whole = learn(tmp_path, "whole", settings=settings)
    assert [r.episodes for r in whole.rows if r.step == "collect"] == [6, 8]
    assert [r.env_steps for r in whole.rows if r.step == "train"] == [240, 300, 380]
    folders = sorted(p.name for p in (whole.folder / "episodes/valve").iterdir())
    assert folders[1:] == ["r001-explore", "r001-plain", "r002-explore", "r002-late", "r002-plain"]
    cards = [v.card() for v in Registry(whole.folder / "models").versions("valve")]
    assert [card.spec.transitions for card in cards] == [240, 300, 380]
    for polls in (12, 22, 30):
        asked = iter(range(10_000))
        stopped = learn(tmp_path, f"run{polls}", settings=settings, should_stop=lambda a=asked, p=polls: next(a) >= p)
        assert not stopped.finished
        assert same(resume(tmp_path, f"run{polls}").rows) == same(whole.rows)


def test_dotted_names_and_lists_come_together_in_any_depth() -> None:
    assert unflatten({"a.b.c": 1, "a.b.d": 2, "a.e": 3}) == {"a": {"b": {"c": 1, "d": 2}, "e": 3}}


def test_options_may_have_their_names_of_version_0_1() -> None:
    pairs = ["planner.candidates=99", "collect.bold.planner.effective=0.03", "collect.clock.core.goal_lead=0.5"]
    new = ["planner.num_samples=99", "collect.bold.planner.ess_fraction=0.03", "collect.clock.core.max_goal_lead=0.5"]
    with pytest.warns(RenamedWarning, match=r"collect\.bold\.planner\.effective is now ess_fraction"):
        old_plan = make_plan("baoding", settings=parse_overrides("--set", pairs))
    assert old_plan == make_plan("baoding", settings=parse_overrides("--set", new))
    with pytest.raises(MbrlError, match="candidates is the old name"):
        make_plan("baoding", settings=parse_overrides("--set", [*pairs, *new]))


@pytest.mark.skipif(not RUN.is_dir(), reason="runs in a checkout")
def test_runs_of_version_0_1_are_read_and_compared_by_the_new_names_in_silence(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = read_plan(RUN)
        shutil.copytree(RUN, tmp_path / "new")
        (tmp_path / "new" / "plan.json").write_text(plan.model_dump_json())
        groups = {found.group for found in compare_runs([RUN, tmp_path / "new"])}
    old = json.loads((RUN / "plan.json").read_text())["planner"]
    assert "candidates" in old
    assert plan.planner == {PLANNER_RENAMED.get(name, name): value for name, value in old.items()}
    assert [b.planner for b in plan.collect if b.name == "bold"] == [{"num_samples": 300, "ess_fraction": 0.05}]
    assert not any("planner" in group for group in groups)
