# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the core remembers from tick to tick, and what a hold, a reset and a late planner make of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.steps import Observation, Solution, Tick
from mbrl_controller.tasks.base import constant_goal

from .conftest import PlainModel, make_core

GOAL = constant_goal(np.array([1.0]))
PERIOD = 0.05
FAR = np.array([1.0, 1.0, 0.4])  # the joints' upper limits


class Hand:
    """A core and a hand that is where it was told to be, never quite at rest; one tick a period."""

    def __init__(self, core: ControllerCore, follows: bool = True) -> None:
        self.core, self.follows = core, follows
        self.position = np.zeros(3)
        self.ticks = 0

    @property
    def now(self) -> float:
        return PERIOD * self.ticks

    @property
    def observation(self) -> Observation:
        return Observation(np.concatenate([self.position, np.full(5, 1e-9 * self.ticks)]), self.now)

    def tick(self, *, late: bool = False, target: np.ndarray | None = None, noise: np.ndarray | None = None) -> Tick:
        """`target` [A] (rad): what is planned for every step."""
        self.ticks += 1
        request = self.core.prepare(self.observation, GOAL, self.now)
        solution = None
        if not late:
            solution = self.core.solve(request)
            if target is not None:
                solution.targets[:] = target
        return self.moved(self.core.conclude(request, solution, self.now, noise))

    def moved(self, tick: Tick) -> Tick:
        if tick.command is not None and self.follows:
            self.position = tick.command
        return tick

    def disagree(self) -> SafetyState:
        self.core.swap(PlainModel(spread=9.0))
        return self.tick().state

    def agree(self) -> SafetyState:
        self.core.swap(PlainModel())
        return self.tick().state


# --- interruptions: whatever ends a run of commands ---------------------------------------------------------------


def reset(hand: Hand) -> None:
    hand.core.reset(1)


def hold(hand: Hand) -> None:
    hand.moved(hand.core.hold("held", hand.observation))


def send_nothing(hand: Hand) -> None:
    hand.core.send_nothing("held up")


def stop_and_clear(hand: Hand) -> None:
    hand.core.stop("e-stop", hand.observation)
    hand.core.safety.clear_stop("by hand")


def hand_over_and_take_back(hand: Hand) -> None:
    hand.core.safety.hand_over("operator")
    hand.core.safety.take_back("back")
    hand.core.reset(1)


def leave_and_reset(hand: Hand) -> None:
    hand.core.leave("deactivated", hand.observation)
    hand.core.reset(1)


def too_late(hand: Hand) -> None:
    for _ in range(3):
        hand.tick(late=True)


interruptions = pytest.mark.parametrize(
    "interrupt", [reset, hold, send_nothing, stop_and_clear, hand_over_and_take_back, leave_and_reset, too_late]
)


@interruptions
def test_commands_gain_speed_anew_after_every_interruption(interrupt: Callable[[Hand], None]) -> None:
    hand = Hand(make_core(safety=SafetyConfig(ramp_s=4 * PERIOD)))
    reach = hand.core.contract.action.max_rate * PERIOD

    def speeds(ticks: int, sign: float) -> list[np.ndarray]:
        found = []
        for _ in range(ticks):
            before = hand.position
            found.append((hand.tick(target=sign * FAR).command - before) / (sign * reach))
        return found

    for found, share in zip(speeds(6, 1.0), (0.25, 0.5, 0.75, 1, 1, 1), strict=True):
        assert found == pytest.approx([share] * 3)
    interrupt(hand)
    for found, share in zip(speeds(3, -1.0), (0.25, 0.5, 0.75), strict=True):
        assert found == pytest.approx([share] * 3)


@interruptions
def test_no_plan_of_before_an_interruption_is_followed_after_it(interrupt: Callable[[Hand], None]) -> None:
    """A planner that is late has nothing to fall back on: the hand is held where it was commanded to be."""
    hand = Hand(make_core())
    hand.tick(target=0.1 * FAR)
    interrupt(hand)
    before = hand.position
    tick = hand.tick(late=True, target=FAR)
    assert (tick.source, tick.state) == ("safe", SafetyState.HOLDING)
    np.testing.assert_allclose(tick.command, before)


# --- plans in doubt, in a row ---------------------------------------------------------------------------------------


def test_disagreeing_plans_count_in_a_row_and_not_in_all() -> None:
    hand = Hand(make_core(safety=SafetyConfig(ramp_s=0.0, max_disagreeing_plans=3)))
    for _ in range(3):
        states = [hand.disagree(), hand.disagree(), hand.agree()]
        assert states == [SafetyState.RUNNING] * 3
    assert [hand.disagree() for _ in range(4)] == [SafetyState.RUNNING] * 2 + [SafetyState.HOLDING] * 2
    assert hand.agree() is SafetyState.RUNNING
    assert hand.disagree() is SafetyState.RUNNING


def test_disagreeing_plans_before_a_reset_do_not_count_after_it() -> None:
    hand = Hand(make_core())
    for _ in range(3):
        assert [hand.disagree(), hand.disagree()] == [SafetyState.RUNNING] * 2
        hand.core.reset(1)


def test_late_plans_count_in_a_row_and_not_across_a_reset() -> None:
    hand = Hand(make_core(safety=SafetyConfig(ramp_s=0.0, max_late_plans=3)))
    for _ in range(3):
        hand.tick()
        assert [hand.tick(late=True).source for _ in range(2)] == ["previous_plan"] * 2
    assert hand.tick(late=True).reason == "planner late 3 times in a row"
    hand.core.reset(1)
    assert hand.tick(late=True).reason == "planner late and no plan left"
    hand.tick()
    assert hand.tick(late=True).reason == "planner late (1 in a row)"


def test_as_many_plans_are_borne_as_the_options_say() -> None:
    for allowed in (1, 2, 4):
        options = SafetyConfig(ramp_s=0.0, max_late_plans=allowed, max_disagreeing_plans=allowed)
        late, split = Hand(make_core(safety=options)), Hand(make_core(safety=options))
        late.tick()
        for n in range(1, allowed + 1):
            assert (late.tick(late=True).source == "safe") is (n == allowed)
            assert (split.disagree() is SafetyState.HOLDING) is (n == allowed)


def test_disagreement_at_the_limit_itself_is_borne() -> None:
    core = make_core(safety=SafetyConfig(ramp_s=0.0, max_disagreeing_plans=1))
    hand = Hand(core)
    request = core.prepare(hand.observation, GOAL, 0.0)
    model = PlainModel(spread=1.0)
    core.swap(model)
    measured = core.solve(core.prepare(hand.observation, GOAL, 0.0)).disagreement
    assert measured == pytest.approx(0.5)  # half the spread, of two members
    assert request.model is not model
    for limit, expected in ((measured, SafetyState.RUNNING), (0.999 * measured, SafetyState.HOLDING)):
        model.disagreement_limit = limit
        assert hand.tick().state is expected


def test_a_model_without_a_scale_or_a_limit_is_not_judged() -> None:
    hand = Hand(make_core(safety=SafetyConfig(ramp_s=0.0, max_disagreeing_plans=1)))
    model = PlainModel(spread=9.0)
    hand.core.swap(model)
    model.disagreement_limit = None
    assert hand.tick().state is SafetyState.RUNNING
    model.disagreement_limit, model.delta_scale = 1.0, None  # type: ignore[assignment]
    tick = hand.tick()
    assert tick.state is SafetyState.RUNNING
    assert isinstance(tick.solution, Solution)
    assert np.isnan(tick.solution.disagreement)


# --- the planner's memory -------------------------------------------------------------------------------------------


def test_a_late_plan_takes_the_planners_memory_one_step_on() -> None:
    core = make_core()
    core.planner = type(core.planner)(3, core.planner.config.model_copy(update={"num_elites_kept": 2}))
    hand = Hand(core)
    hand.tick()
    before = core.prepare(hand.observation, GOAL, 0.0).planner_state
    assert np.ptp(before.mean, axis=0).min() > 0
    hand.tick(late=True)
    after = core.prepare(hand.observation, GOAL, 0.0).planner_state
    np.testing.assert_array_equal(after.mean, np.concatenate([before.mean[1:], before.mean[-1:]]))
    assert before.elites is not None
    np.testing.assert_array_equal(after.elites, np.concatenate([before.elites[:, 1:], before.elites[:, -1:]], axis=1))
    assert (after.tick, after.seed) == (before.tick + 1, before.seed)


def test_late_plans_follow_the_last_one_step_by_step() -> None:
    hand = Hand(make_core())
    plan = hand.tick().solution.targets
    for step in (1, 2):
        expected = hand.core.contract.action.limit(plan[step], hand.position)
        np.testing.assert_allclose(hand.tick(late=True).command, expected)


def test_a_plan_is_followed_to_its_last_step_and_then_held() -> None:
    hand = Hand(make_core(safety=SafetyConfig(ramp_s=0.0, max_late_plans=9)))
    hand.tick()
    ticks = [hand.tick(late=True) for _ in range(5)]  # of a plan of four steps
    assert [tick.source for tick in ticks] == ["previous_plan"] * 3 + ["safe"] * 2
    assert {tick.reason for tick in ticks[3:]} == {"planner late and no plan left"}


def test_between_two_plans_the_plan_in_force_is_followed() -> None:
    hand = Hand(make_core(replan_every=3))
    ticks = [hand.tick() for _ in range(5)]
    assert [tick.source for tick in ticks] == ["plan", "previous_plan", "previous_plan", "plan", "previous_plan"]
    for earlier, later in itertools.pairwise(ticks[:3]):
        np.testing.assert_allclose(later.solution.targets, earlier.solution.targets[1:])
    assert [tick.solution.plan.evaluated > 0 for tick in ticks[:3]] == [True, False, False]


def test_a_plan_is_not_followed_beyond_its_end_or_across_a_reset() -> None:
    hand = Hand(make_core(replan_every=50))
    assert [hand.tick().source for _ in range(5)] == ["plan", *["previous_plan"] * 3, "plan"]  # of four steps
    hand.core.reset(1)
    assert hand.tick().source == "plan"


@pytest.mark.parametrize("kind", ["rate limit", "exploration", "late", "hold"])
def test_the_planner_is_told_what_was_sent_and_not_what_it_chose(kind: str) -> None:
    hand = Hand(make_core())
    action = hand.core.contract.action
    chosen = hand.tick(target=FAR if kind == "rate limit" else None)
    if kind == "exploration":
        chosen = hand.tick(noise=np.array([0.3, -0.2, 0.1]))
    elif kind == "late":
        chosen = hand.tick(late=True)
    elif kind == "hold":
        chosen = hand.core.hold("held", hand.observation)
    told = hand.core.prepare(hand.observation, GOAL, 0.0).planner_state.last_action
    np.testing.assert_allclose(told, action.to_normalised(chosen.command))
    if chosen.solution is not None:
        assert np.abs(told - chosen.solution.plan.actions[0]).max() > 1e-3


def test_an_episode_begins_from_where_the_hand_is_with_the_numbers_of_its_seed() -> None:
    hand = Hand(make_core())
    action = hand.core.contract.action
    for _ in range(3):
        hand.tick(target=FAR)
    position = np.array([0.2, -0.3, 0.1])
    hand.core.reset(17, position)
    state = hand.core.prepare(hand.observation, GOAL, 0.0).planner_state
    np.testing.assert_allclose(state.last_action, action.to_normalised(position))
    assert (state.seed, state.tick) == (17, 0)
    assert not state.mean.any()
    hand.core.reset(18)
    assert not hand.core.prepare(hand.observation, GOAL, 0.0).planner_state.last_action.any()


def test_each_reset_is_an_epoch_and_commands_are_numbered_within_it() -> None:
    hand = Hand(make_core())
    first = hand.core.epoch
    assert [hand.tick().sequence for _ in range(3)] == [0, 1, 2]
    assert hand.core.prepare(hand.observation, GOAL, 0.0).sequence == 3
    assert hand.core.send_nothing("").sequence == 3
    assert hand.core.hold("", hand.observation).sequence == 3
    hand.core.reset(1)
    tick = hand.tick()
    assert (tick.epoch, tick.sequence) == (first + 1, 0)


# --- the commands in flight -----------------------------------------------------------------------------------------


def test_commands_of_the_last_episode_are_not_replayed_in_the_next() -> None:
    hand = Hand(make_core(delay="given", delay_s=4 * PERIOD))
    sent = [hand.tick().command for _ in range(4)]
    replay = hand.core.prepare(hand.observation, GOAL, 0.0, hand.now + PERIOD).replay
    np.testing.assert_allclose(replay.whole, sent)
    hand.core.reset(1)
    assert hand.core.prepare(hand.observation, GOAL, 0.0, hand.now + PERIOD).replay.whole == ()
    hand.tick()
    assert len(hand.core.prepare(hand.observation, GOAL, 0.0, hand.now + PERIOD).replay.whole) == 1


def test_safe_commands_are_in_flight_too() -> None:
    hand = Hand(make_core(delay="given", delay_s=2 * PERIOD))
    sent = [hand.tick().command]
    hand.ticks += 1
    sent.append(hand.core.hold("held", hand.observation, hand.now).command)
    np.testing.assert_allclose(hand.core.prepare(hand.observation, GOAL, 0.0, hand.now + PERIOD).replay.whole, sent)


# --- exploration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_exploration_ends_at_the_stroke_where_the_planner_itself_would(sign: float) -> None:
    hand = Hand(make_core())
    action = hand.core.contract.action
    for _ in range(60):
        hand.tick(noise=np.full(3, 5.0 * sign))
    np.testing.assert_allclose(hand.position, action.to_target(np.full(3, sign)))
    assert np.abs(hand.position - (action.upper if sign > 0 else action.lower)).min() > 0.01


def test_exploration_is_added_to_the_planned_action() -> None:
    hand = Hand(make_core())
    action = hand.core.contract.action
    planned, noise = action.neutral + np.array([0.02, 0.01, -0.01]), np.array([0.05, -0.04, 0.03])
    hand.position = action.neutral
    command = hand.tick(target=planned, noise=noise).command
    np.testing.assert_allclose(action.to_normalised(command), action.to_normalised(planned) + noise)


# --- what a tick says -----------------------------------------------------------------------------------------------


def test_a_tick_is_made_at_its_time_with_its_deadline_and_its_noise() -> None:
    hand = Hand(make_core(delay="none"))
    asked: list[float | None] = []
    plan = type(hand.core.planner).plan
    hand.core.planner.plan = lambda *arguments: asked.append(arguments[2]) or plan(hand.core.planner, *arguments)
    noise = np.array([0.05, 0.05, -0.05])
    hand.position = hand.core.contract.action.neutral
    tick = hand.core.tick(hand.observation, GOAL, 0.0, deadline=1e9, noise=noise, now=7.0)
    assert asked == [1e9]
    assert hand.core.safety.transitions[-1].time == 7.0
    np.testing.assert_array_equal(hand.core._sent.at(7.0), tick.command)
    assert hand.core._sent.at(6.99) is None
    calm = Hand(make_core(delay="none"))
    calm.position = hand.position
    without = calm.core.tick(calm.observation, GOAL, 0.0)
    assert np.abs(without.command - tick.command).max() > 1e-3
    assert calm.core.safety.transitions[-1].time == calm.observation.stamp


def test_a_tick_says_where_its_command_comes_from_and_on_what_it_rests() -> None:
    hand = Hand(make_core())
    good = hand.tick()
    assert (good.source, good.state, good.reason) == ("plan", SafetyState.RUNNING, "planning")
    assert good.request is not None
    assert good.solution is not None
    assert good.solution.model_version == "plain"
    late = hand.tick(late=True)
    assert (late.source, late.state, late.reason) == (
        "previous_plan", SafetyState.RUNNING, "planner late (1 in a row)"
    )  # fmt: skip
    assert late.request is not None
    assert late.solution is None
    held = hand.core.hold("held", hand.observation)
    assert (held.source, held.state, held.reason) == ("safe", SafetyState.HOLDING, "held")
    assert (held.request, held.solution) == (None, None)
    silent = hand.core.send_nothing("held up")
    assert (silent.command, silent.source, silent.reason) == (None, "none", "held up")
    assert silent.state is SafetyState.HOLDING


@pytest.mark.parametrize("kind", ["late", "NaN plan", "disagrees", "frozen", "hole", "obstacle"])
def test_a_hold_in_place_of_a_plan_says_why_and_on_what_it_rests(kind: str) -> None:
    hand = Hand(make_core(safety=SafetyConfig(ramp_s=0.0, max_disagreeing_plans=1)))
    for k in range(3):
        hand.tick(target=(-1) ** k * 0.3 * FAR)
    if kind == "disagrees":
        hand.core.swap(PlainModel(spread=9.0))
    hand.ticks += 1
    observation = hand.observation
    if kind == "hole":
        observation.state[7] = np.nan
    elif kind == "obstacle":
        observation.state[:3] = 0.7
    elif kind == "frozen":
        for k in range(4):
            hand.core._stuck_sensors.problem(observation.state, hand.now + 1e-3 * k, k % 2 * FAR, 9, 0)
        observation = Observation(observation.state, hand.now + 1.0)
    request = hand.core.prepare(observation, GOAL, hand.now)
    solution = None
    if kind == "late":
        hand.core.send_nothing("nothing left of the last plan")
    else:
        with np.errstate(all="ignore"):
            solution = hand.core.solve(request)
    if kind == "NaN plan":
        solution.targets[2, 1] = np.nan
    tick = hand.core.conclude(request, solution, 9.0)
    expected = {
        "late": "planner late and no plan left",
        "NaN plan": "no candidate had a finite return",
        "disagrees": "the ensemble disagrees: 4.5 above 1",
        "frozen": "joint_states: the same values for",
        "hole": "the state has non-finite entries",
        "obstacle": "J0 is measured at 0.7 rad, too far from its command",
    }[kind]
    assert tick.reason.startswith(expected)
    assert tick.state is SafetyState.HOLDING
    assert hand.core.safety.transitions[-1].time == (0.0 if kind == "late" else 9.0)
    assert (tick.request, tick.solution) == (request, solution)
    assert (tick.command is None) is (kind == "obstacle")


def test_a_plan_made_before_a_reset_says_so() -> None:
    hand = Hand(make_core())
    request = hand.core.prepare(hand.observation, GOAL, 0.0)
    solution = hand.core.solve(request)
    hand.core.reset(1)
    tick = hand.core.conclude(request, solution, 4.0)
    assert (tick.source, tick.reason) == ("safe", "the plan was made before a reset")
    assert hand.core.safety.transitions[-1].time == 4.0


def test_stopping_and_leaving_send_the_safe_command_once() -> None:
    for end, state in (("stop", SafetyState.STOPPED), ("leave", SafetyState.INACTIVE)):
        hand = Hand(make_core())
        hand.tick(target=FAR)
        before = hand.position
        tick = getattr(hand.core, end)("enough", hand.observation, 3.0)
        np.testing.assert_allclose(tick.command, before)
        assert (tick.source, tick.state, tick.reason) == ("safe", state, "enough")
        assert [(t.time, t.after) for t in hand.core.safety.transitions][-2:] == [
            (3.0, SafetyState.HOLDING), (3.0, state)
        ]  # fmt: skip
        again = getattr(hand.core, end)("once more", hand.observation, 4.0)
        assert (again.command, again.source) == (None, "none")
        assert hand.tick().command is None
        assert hand.core.hold("held", hand.observation).command is None
        assert hand.core.send_nothing("held up").state is state


def test_a_plan_tells_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 10.25])
    hand = Hand(make_core())
    request = hand.core.prepare(hand.observation, GOAL, 0.0)
    monkeypatch.setattr("mbrl_controller.control.solver.time", SimpleNamespace(monotonic=lambda: next(times)))
    assert hand.core.solve(request).duration == pytest.approx(0.25)


def test_retuning_keeps_the_pace_and_refuses_plans_of_another_shape() -> None:
    hand = Hand(make_core())
    hand.tick()
    old = hand.core.planner
    new = type(old)(3, old.config.model_copy(update={"num_samples": 5}))
    config = hand.core.config.model_copy(update={"drop_cost": 3.0})
    hand.core.reconfigure(new, config)
    assert (hand.core.planner, hand.core.config, new.throughput) == (new, config, old.throughput)
    assert hand.tick().solution.plan.evaluated == 5
    for other in (type(old)(3, old.config.model_copy(update={"horizon": 5})), type(old)(4, old.config)):
        with pytest.raises(ValueError, match="the running plan has shape"):
            hand.core.reconfigure(other, config)
    assert hand.core.planner is new


def test_a_plan_is_cautious_and_charges_drops_as_the_options_say() -> None:
    """What the planner is given to judge its candidates by."""
    hand = Hand(make_core(drop_cost=7.0, risk={"kind": "worst"}))
    seen: list = []
    hand.core.planner.plan = lambda objective, state, deadline: (
        seen.append(objective) or type(hand.core.planner).plan(hand.core.planner, objective, state, deadline)
    )
    hand.tick()
    assert (seen[0].drop_cost, seen[0].risk.kind) == (7.0, "worst")
    assert seen[0].goal == pytest.approx(np.ones((4, 1)))


# --- frozen sensors -------------------------------------------------------------------------------------------------


def test_after_a_reset_a_sensor_that_stands_still_is_watched_anew() -> None:
    core = make_core(safety=SafetyConfig(ramp_s=0.0, frozen_periods=3))
    assert core.epoch == 1

    def sources(begin: int) -> list[str]:
        found = []
        for k in range(begin, begin + 7):
            observation = Observation(np.zeros(8), PERIOD * k)
            request = core.prepare(observation, GOAL, 0.0)
            solution = core.solve(request)
            solution.targets[:] = k % 2 * FAR
            found.append(core.conclude(request, solution, PERIOD * k).source)
        return found

    first = sources(0)
    assert first == ["plan"] * 5 + ["safe"] * 2
    core.reset(1)
    core.safety.forget_command()
    assert sources(8) == first
