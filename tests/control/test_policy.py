# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A version's policy in the core: alone, in place of a plan that is late or fails, and as a proposal; its value."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.control.config import ControllerConfig, SafetyConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.planner_thread import PlannerThread
from mbrl_controller.control.safety import Safety, SafetyState
from mbrl_controller.control.steps import NoModel, Observation, Tick
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.tasks.base import WaypointGoal, constant_goal

from .conftest import PlainModel, make_contract
from .heads import FakePolicy, FakeValue, Headed
from .test_session import Bench

PERIOD = 0.05
GOAL = constant_goal(np.array([1.0]))
FAR = 60.0  # s


def make_core(
    model: Any, acting: Any = "controller", planner: dict[str, Any] | None = None, safety: Any = None, **config: Any
) -> ControllerCore:
    contract = make_contract()
    made = make_planner("pddm", 3, {"num_samples": 8, "horizon": 4, **(planner or {})})
    limits = Safety(contract.action, safety or SafetyConfig(ramp_s=0.0), contract.file.command.safe)
    return ControllerCore(contract, model, made, ControllerConfig(**config), limits, acting=acting)


class Hand:
    """Where it was told to be; its planner may be late, fail or find nothing."""

    def __init__(self, core: ControllerCore) -> None:
        self.core, self.ticks, self.position = core, 0, np.zeros(3)

    @property
    def observation(self) -> Observation:
        return Observation(np.concatenate([self.position, np.full(5, 1e-9 * self.ticks)]), PERIOD * self.ticks)

    def tick(self, what: str = "plan") -> Tick:
        """`what`: plan, late (the policy has had its turn), blind (it has not), nothing (no finite return)."""
        self.ticks += 1
        request = self.core.prepare(self.observation, GOAL, PERIOD * self.ticks)
        solution = None
        if what != "blind":
            solution = self.core.solve(request, time.monotonic() + FAR)
        if what == "nothing":
            assert solution is not None
            solution.targets[:] = np.nan
        tick = self.core.conclude(request, None if what == "late" else solution, PERIOD * self.ticks)
        if tick.command is not None:
            self.position = tick.command
        return tick


# --- alone ------------------------------------------------------------------------------------------------------------


def test_the_policy_alone_acts_and_is_judged_as_a_plan_is() -> None:
    policy = FakePolicy()
    core = make_core(Headed(policy), "distilled")
    hand = Hand(core)
    tick = hand.tick()
    assert (tick.source, tick.state, tick.reason) == ("policy", SafetyState.RUNNING, "the policy acts")
    wanted = core.contract.action.to_target(np.full(3, 0.5))
    np.testing.assert_array_equal(tick.command, core.contract.action.limit(wanted, np.zeros(3)))
    assert tick.solution is not None
    plan = tick.solution.plan
    assert (plan.evaluated, plan.iterations, plan.valid, np.isnan(plan.predicted_return)) == (0, 0, True, True)
    # Shorter than the horizon: its last action is repeated.
    np.testing.assert_allclose(plan.actions, np.array([0.5, 0.25, 0.25, 0.25])[:, None] * np.ones(3))
    assert tick.solution.disagreement == 0.0
    core.swap(Headed(policy, spread=9.0))
    states = [hand.tick().state for _ in range(3)]
    assert states == [SafetyState.RUNNING, SafetyState.RUNNING, SafetyState.HOLDING]
    assert "disagrees" in core.safety.reason


def test_the_policy_sees_the_state_at_which_its_command_acts_and_the_goals_from_there() -> None:
    policy = FakePolicy(reach=6)
    core = make_core(Headed(policy), "distilled", delay="given", delay_s=2 * PERIOD)
    hand = Hand(core)
    goal = WaypointGoal(PERIOD * np.arange(40), np.arange(40.0)[:, None])
    for k in range(4):
        request = core.prepare(hand.observation, goal, k * PERIOD, now=k * PERIOD)
        tick = core.conclude(request, core.solve(request), k * PERIOD)
        hand.ticks += 1
    state, goals = policy.asked[-1]
    # The joints stand still in the state, but two commands are under way: the model puts them where those lead.
    assert tick.command is not None
    assert state[0] == pytest.approx(request.replay.whole[-1][0])
    assert goals[:, 0].tolist() == [3 + 2 + i for i in range(1, 7)]


def test_a_version_that_has_only_a_policy_acts_without_delay_and_disagreement() -> None:
    policy = FakePolicy()
    core = make_core(NoModel("v0007", policy), "distilled", delay="given", delay_s=0.1)
    hand = Hand(core)
    ticks = [hand.tick() for _ in range(3)]
    assert [tick.source for tick in ticks] == ["policy"] * 3
    assert ticks[-1].request is not None
    assert ticks[-1].request.delay.total == 0.0
    assert ticks[-1].solution is not None
    assert ticks[-1].solution.model_version == "v0007"
    np.testing.assert_array_equal(policy.asked[-1][0][:3], ticks[-2].command)


def test_a_policy_that_is_no_number_holds_the_hand() -> None:
    hand = Hand(make_core(Headed(FakePolicy(np.nan)), "distilled"))
    tick = hand.tick()
    assert (tick.source, tick.reason) == ("safe", "the policy's plan has non-finite entries")


def test_who_acts_changes_between_two_ticks() -> None:
    core = make_core(Headed(FakePolicy()))
    hand, sources = Hand(core), []
    for acting in ("controller", "distilled", "controller"):
        core.reconfigure(core.planner, core.config, acting)  # type: ignore[arg-type]
        sources.append(hand.tick().source)
    assert sources == ["plan", "policy", "plan"]
    core.reconfigure(core.planner, core.config)
    assert core.acting == "controller"


def test_auto_lets_the_policy_act_while_the_version_has_one() -> None:
    with_policy, without = Headed(FakePolicy()), Headed()
    hand = Hand(make_core(with_policy, "auto"))
    sources = [hand.tick().source]
    for model in (without, with_policy):
        hand.core.swap(model)
        sources.append(hand.tick().source)
    assert sources == ["policy", "plan", "policy"]
    hand.core.reconfigure(hand.core.planner, hand.core.config, "controller")
    hand.core.swap(with_policy)
    assert hand.tick().source == "plan"
    hand.core.reconfigure(hand.core.planner, hand.core.config, "auto")
    assert hand.tick().source == "policy"


# --- what is asked for must be there --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acting", "config", "value", "word"),
    [
        ("distilled", {}, None, "no policy"),
        ("controller", {"fallback": "policy"}, None, "no policy"),
        ("controller", {"terminal": "value"}, None, "no value"),
        ("controller", {"terminal": "value"}, FakeValue(discount=1.0), "no bound"),
    ],
)
def test_a_head_that_is_asked_for_and_not_there_is_refused(acting: Any, config: Any, value: Any, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        make_core(Headed(value=value), acting, **config)
    whole = Headed(FakePolicy(), FakeValue())
    core = make_core(whole, acting, **config)
    with pytest.raises(ModelError, match=word):
        core.swap(Headed(value=value))
    assert core.model is whole
    assert Hand(core).tick().state is SafetyState.RUNNING
    other = make_core(Headed(value=value))
    with pytest.raises(ModelError, match=word):
        other.reconfigure(other.planner, ControllerConfig(**config), acting)
    assert (other.acting, other.config) == ("controller", ControllerConfig())


# --- in place of a late plan ------------------------------------------------------------------------------------------


def test_late_plans_are_replaced_for_ever_while_the_model_looks_at_what_the_policy_does() -> None:
    policy = FakePolicy()
    hand = Hand(make_core(Headed(policy)))
    assert hand.tick().source == "plan"
    ticks = [hand.tick("late") for _ in range(8)]
    assert [tick.source for tick in ticks] == ["policy"] * 8
    assert hand.core.safety.state is SafetyState.RUNNING
    assert ticks[-1].reason == "planner late (8 in a row): the policy acts"
    assert ticks[0].solution is not None
    assert ticks[0].solution.source == "policy"
    assert hand.tick().source == "plan"


def test_the_planner_goes_on_from_what_the_policy_meant_to_do() -> None:
    hand = Hand(make_core(Headed(FakePolicy()), planner={"num_elites_kept": 2}))
    hand.tick()
    hand.tick("late")
    after = hand.core.prepare(hand.observation, GOAL, PERIOD * hand.ticks).planner_state
    # The policy's plan is .5 and then .25 three times; its first action was followed.
    np.testing.assert_allclose(after.mean, np.full((4, 3), 0.25))
    assert after.elites is not None


def test_a_late_plan_at_the_very_start_is_replaced_too() -> None:
    assert Hand(make_core(Headed(FakePolicy()))).tick("late").source == "policy"


def test_a_policy_that_had_no_turn_leaves_the_rest_of_its_last_plan_and_then_a_hold() -> None:
    hand = Hand(make_core(Headed(FakePolicy())))
    assert hand.tick("late").source == "policy"
    ticks = [hand.tick("blind") for _ in range(4)]
    assert [tick.source for tick in ticks] == ["previous_plan", "previous_plan", "safe", "safe"]
    assert "late 4 times in a row" in ticks[2].reason  # three of them with nothing that the model had looked at
    assert [hand.tick("late").source, hand.tick("blind").source] == ["policy", "previous_plan"]


@pytest.mark.parametrize("fallback", ["auto", "policy", "previous_plan"])
def test_the_fallback_is_an_option(fallback: str) -> None:
    policy = FakePolicy()
    hand = Hand(make_core(Headed(policy), fallback=fallback))
    hand.tick()
    sources = [hand.tick("late").source for _ in range(4)]
    if fallback == "previous_plan":
        assert sources == ["previous_plan", "previous_plan", "safe", "safe"]
        assert policy.asked == []
    else:
        assert sources == ["policy"] * 4
    without = Hand(make_core(Headed(None)))
    without.tick()
    assert [without.tick("late").source for _ in range(3)] == ["previous_plan", "previous_plan", "safe"]


def test_a_policy_on_which_the_members_disagree_is_not_followed_for_long() -> None:
    hand = Hand(make_core(Headed(FakePolicy(), spread=9.0)))
    assert [hand.tick("late").source for _ in range(4)] == ["policy", "policy", "safe", "safe"]
    assert "disagrees" in hand.core.safety.reason


def test_a_policy_of_which_nothing_can_be_predicted_does_not_act() -> None:
    hand = Hand(make_core(Headed(FakePolicy())))
    hand.tick()
    hand.core.swap(Headed(FakePolicy(), broken=True))
    assert hand.tick("late").source == "previous_plan"
    assert hand.tick("nothing").reason == "no candidate had a finite return"


def test_a_policy_that_is_no_number_replaces_nothing() -> None:
    hand = Hand(make_core(Headed(FakePolicy(np.nan))))
    hand.tick()
    assert hand.tick("late").source == "previous_plan"


def test_the_policys_command_keeps_all_limits() -> None:
    core = make_core(Headed(FakePolicy(1.0)), safety=SafetyConfig(ramp_s=4 * PERIOD))
    hand, before = Hand(core), np.zeros(3)
    rate = core.contract.action.max_rate * PERIOD
    for k in range(6):
        command = hand.tick("late").command
        assert command is not None
        share = min(1.0, (k + 1) / 4)
        assert (np.abs(command - before) <= share * rate + 1e-9).all()
        assert (command <= core.contract.action.upper).all()
        before = command


def test_after_a_stop_the_policy_sends_nothing() -> None:
    hand = Hand(make_core(Headed(FakePolicy())))
    hand.tick("late")
    hand.core.stop("e-stop", hand.observation, 1.0)
    for what in ("late", "plan", "blind"):
        tick = hand.tick(what)
        assert (tick.command, tick.source, tick.state) == (None, "none", SafetyState.STOPPED)


def test_a_command_of_an_epoch_before_a_reset_is_not_sent() -> None:
    core = make_core(Headed(FakePolicy()))
    request = core.prepare(Observation(np.zeros(8), 0.0), GOAL, 0.0)
    core.solve(request, time.monotonic() + FAR)
    assert request.instead.solution is not None
    core.reset(3)
    tick = core.conclude(request, None, 0.0)
    assert (tick.source, tick.reason) == ("safe", "the plan was made before a reset")


def test_on_the_planners_thread_the_policy_has_had_its_turn_when_the_time_is_up() -> None:
    core = make_core(Headed(FakePolicy()))
    slow = core.planner.plan

    def plan(*args: Any) -> Any:
        time.sleep(0.3)
        return slow(*args)

    core.planner.plan = plan  # type: ignore[method-assign]
    thread = PlannerThread(core.solve)
    request = core.prepare(Observation(np.zeros(8), 0.0), GOAL, 0.0)
    now = time.monotonic()
    assert thread.plan(request, now + 0.15, now + 0.1) is None
    tick = core.conclude(request, None, 0.0)
    assert (tick.source, tick.state) == ("policy", SafetyState.RUNNING)
    assert thread.close()


def test_without_a_deadline_nothing_is_late_and_the_policy_is_not_asked() -> None:
    policy = FakePolicy()
    core = make_core(Headed(policy))
    request = core.prepare(Observation(np.zeros(8), 0.0), GOAL, 0.0)
    core.solve(request)
    assert policy.asked == []


def test_a_plan_taken_for_late_on_purpose_is_replaced_without_a_search() -> None:
    core = make_core(Headed(FakePolicy()))
    observation = Observation(np.zeros(8), 0.0)
    tick = core.tick(observation, GOAL, 0.0, late=True)
    assert tick.source == "policy"
    # The check alone: two members, one candidate, one step; and the policy.
    assert tick.solution is not None
    assert tick.solution.network_evaluations == 3
    without = make_core(PlainModel())
    assert without.tick(observation, GOAL, 0.0, late=True).reason == "planner late and no plan left"


# --- in place of a plan that fails ------------------------------------------------------------------------------------


class Failing:
    """Stands in for a planner that raises."""

    def __init__(self, core: ControllerCore) -> None:
        self.plan, self.broken = core.planner.plan, True
        core.planner.plan = self  # type: ignore[assignment]

    def __call__(self, *args: Any) -> Any:
        if self.broken:
            raise ZeroDivisionError("in the planner")
        return self.plan(*args)


def bench_with(policy: FakePolicy | None) -> Bench:
    bench = Bench()
    bench.core.swap(Headed(policy))
    bench.run(1.0, 2)
    return bench


def test_a_planner_that_raises_is_replaced_twice_and_then_stops_the_hand() -> None:
    bench = bench_with(FakePolicy())
    Failing(bench.core)
    steps = bench.run(1.1, 4)
    assert [step.tick.source for step in steps] == ["policy", "policy", "safe", "none"]
    assert "the planner failed: ZeroDivisionError: in the planner: the policy acts" in steps[0].tick.reason
    assert bench.core.safety.state is SafetyState.STOPPED
    assert bench.events[-1] == ("end", 0, "stop")


def test_a_planner_that_works_again_is_forgiven() -> None:
    bench = bench_with(FakePolicy())
    failing = Failing(bench.core)
    sources = []
    for k in range(6):
        failing.broken = k % 3 < 2
        sources += [step.tick.source for step in bench.run(1.1 + k * PERIOD, 1)]
    assert sources == ["policy", "policy", "plan"] * 2


@pytest.mark.parametrize("policy", [None, "broken"])
def test_a_planner_that_raises_stops_the_hand_where_no_policy_can_act(policy: str | None) -> None:
    fake = FakePolicy()
    fake.fails = True
    bench = bench_with(None if policy is None else fake)
    Failing(bench.core)
    (step,) = bench.run(1.1, 1)
    assert (step.tick.source, bench.core.safety.state) == ("safe", SafetyState.STOPPED)
    assert "in the planner" in step.tick.reason


def test_plans_without_a_finite_return_are_replaced_twice_and_then_held() -> None:
    hand = Hand(make_core(Headed(FakePolicy())))
    ticks = [hand.tick("nothing") for _ in range(4)]
    assert [tick.source for tick in ticks] == ["policy", "policy", "safe", "safe"]
    assert ticks[-1].reason == "no candidate had a finite return"
    assert hand.tick().source == "plan"


# --- proposals, value, and what a plan takes --------------------------------------------------------------------------


def test_the_policys_plan_is_among_the_candidates() -> None:
    model = Headed(FakePolicy(0.8))
    seen: list[np.ndarray] = []
    rollout = model.rollout

    def watched(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        seen.append(actions.copy())
        return rollout(state, actions)

    model.rollout = watched  # type: ignore[method-assign]
    core = make_core(model, planner={"proposal_fraction": 0.25}, fallback="previous_plan")
    core.solve(core.prepare(Observation(np.zeros(8), 0.0), GOAL, 0.0))
    proposed = core.contract.action.to_target(np.array([0.8, 0.4, 0.4, 0.4])[:, None] * np.ones(3))
    assert np.isclose(seen[0], proposed, atol=1e-6).all((1, 2)).any()


def test_the_value_of_the_last_state_under_the_goals_behind_it_decides() -> None:
    value = FakeValue(reach=3)
    core = make_core(Headed(value=value), terminal="value", planner={"num_samples": 200})
    goal = WaypointGoal(PERIOD * np.arange(40), np.linspace(0.0, 0.39, 40)[:, None])
    solution = core.solve(request := core.prepare(Observation(np.zeros(8), 0.0), goal, 0.0))
    states, goals = value.asked[-1]
    assert states.shape == (2 * 200, 8)
    assert goals[:, 0].tolist() == pytest.approx([0.05, 0.06, 0.07])  # the plan's own four steps are before
    assert len(request.goals) == 4 + 3
    against = make_core(Headed(value=FakeValue(scale=-100.0)), terminal="value", planner={"num_samples": 200})
    other = against.solve(against.prepare(Observation(np.zeros(8), 0.0), goal, 0.0))
    assert solution.plan.actions[-1, 0] > 0.2 > -0.2 > other.plan.actions[-1, 0]


def test_network_evaluations_are_counted() -> None:
    core = make_core(Headed(FakePolicy(), FakeValue()), terminal="value", planner={"proposal_fraction": 0.5})
    solution = core.solve(core.prepare(Observation(np.zeros(8), 0.0), GOAL, 0.0))
    # Members x candidates x steps, the check of the first action, the policy, and three networks of the value on the
    # last state of each candidate in each member.
    assert solution.network_evaluations == 2 * 8 * 4 + 2 + 1 + 3 * 2 * 8
    plain = make_core(PlainModel())
    assert plain.solve(plain.prepare(Observation(np.zeros(8), 0.0), GOAL, 0.0)).network_evaluations == 2 * 8 * 4 + 2


def test_heads_that_are_not_used_change_no_plan() -> None:
    plans = []
    for model in (PlainModel(), Headed(FakePolicy(reach=30), FakeValue())):
        core = make_core(model)
        solution = core.solve(core.prepare(Observation(np.zeros(8), 0.0), GOAL, 0.0), time.monotonic() + FAR)
        core.planner.throughput = type(core.planner.throughput)()
        plans.append(solution.targets)
    np.testing.assert_array_equal(*plans)
