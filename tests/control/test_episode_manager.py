# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How episodes begin and end: drops, time, clocks, goals, rewards, and what each step says of them."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mbrl_controller.control.config import SessionConfig
from mbrl_controller.control.doubt import Doubt
from mbrl_controller.control.episode_manager import Phase
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.steps import Step
from mbrl_controller.tasks.base import constant_goal

from .test_session import PERIOD, Bench, Watching, joint_state

LOST = 1.0  # rad: a valve turned further counts as lost here


class Losing(Bench):
    """A session whose object can be lost, and whose rewards are told."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.core.task = copy.copy(self.core.task)  # all contracts of one text have one
        self.core.task.dropped = lambda state: state[..., 6] > LOST  # type: ignore[method-assign]
        self.core.task.reward = self._reward  # type: ignore[method-assign, assignment]

    def _reward(self, state: np.ndarray, action: np.ndarray, goal: np.ndarray) -> np.ndarray:
        if np.ndim(state) == 1:  # not the planner's
            self.asked.append((state, action, goal))
        return -np.abs(state[..., 6] - goal[..., 0])

    def at(self, stamp: float, valve: float = 0.0, position: float = 0.0) -> Step:
        self.feed(stamp, position, valve)
        return self.step(stamp)


def lost(bench: Losing, begin: float = 1.0) -> Step:
    """Two good steps, then the object is lost."""
    bench.at(begin)
    bench.at(begin + PERIOD)
    return bench.at(begin + 2 * PERIOD, valve=2.0)


def test_a_drop_ends_the_episode_with_the_safe_command_and_is_in_its_last_step() -> None:
    bench = Losing()
    bench.session.set_goal(constant_goal(np.array([0.5])), 0.0)
    step = lost(bench)
    assert (step.tick.source, step.tick.state) == ("safe", SafetyState.HOLDING)
    assert step.tick.reason == "episode over: drop"
    assert step.dropped
    assert (step.stamp, step.episode, step.reward) == (1.1, 0, pytest.approx(-1.5))
    assert step.episode_time == pytest.approx(0.1)
    assert step.goal == pytest.approx([0.5])
    assert step.observation is not None
    assert step.observation.state[6] == 2.0
    assert [(e.event, e.episode, e.reason, e.stamp) for e in step.events] == [("end", 0, "drop", 1.1)]
    assert bench.session.episodes.phase is Phase.OVER


def test_good_steps_say_where_the_episode_stands() -> None:
    bench = Losing()
    bench.session.set_goal(constant_goal(np.array([0.5])), 0.0)
    for k in range(3):
        step = bench.at(1.0 + k * PERIOD, valve=0.1 * k)
        assert (step.stamp, step.episode) == (1.0 + k * PERIOD, 0)
        assert step.episode_time == pytest.approx(k * PERIOD)
        assert step.reward == pytest.approx(0.1 * k - 0.5)
        assert not step.dropped
        assert not step.repeated
        assert len(step.events) == (k == 0)
        assert step.observation is bench.session._observation
    begin = bench.sent[0].events[0]
    assert (begin.stamp, begin.epoch, begin.model_version) == (1.0, bench.core.epoch, "plain")


def test_outside_of_an_episode_there_is_no_time_of_it() -> None:
    bench = Losing()
    waiting = bench.step(0.9)
    assert (waiting.episode, waiting.stamp) == (-1, 0.9)
    assert np.isnan(waiting.episode_time)
    lost(bench)
    over = bench.at(1.15)
    assert np.isnan(over.episode_time)
    assert np.isnan(over.reward)
    assert over.goal is None
    assert over.observation is not None
    assert np.isnan(bench.session.stop("e-stop", 1.2).episode_time)


def test_a_step_is_rewarded_for_the_command_that_was_sent_or_else_for_where_the_joints_are() -> None:
    bench = Losing()
    step = bench.at(1.0, position=0.1)
    np.testing.assert_array_equal(bench.asked[-1][1], step.tick.command)
    np.testing.assert_array_equal(bench.asked[-1][0], step.observation.state)
    bench.session.reset(1.1)
    bench.core.safety.forget_command()
    bench.feed(1.15, position=0.5)  # the third joint is so far outside its limits that nothing can be sent
    step = bench.step(1.15)
    assert step.tick.command is None
    np.testing.assert_allclose(bench.asked[-1][1], [0.5] * 3)


def test_no_episode_begins_while_the_object_is_not_in_the_hand() -> None:
    bench = Losing()
    step = bench.at(1.0, valve=2.0)
    assert (step.tick.source, step.tick.reason) == ("safe", "the object is not in the hand")
    assert bench.events == []
    bench.at(1.05)
    assert bench.events == [("begin", 0, "")]


def test_without_auto_reset_an_episode_that_is_over_waits_for_a_person() -> None:
    bench = Losing()
    lost(bench)
    for stamp, valve in ((1.15, 2.0), (1.2, 0.0)):  # also when the object is back
        assert bench.at(stamp, valve).tick.reason == "episode over: drop; call ~/reset"
    assert bench.session.reset(1.25) == ()
    bench.at(1.3)
    assert bench.events[-1] == ("begin", 1, "")


def test_with_auto_reset_it_waits_for_the_object_alone() -> None:
    bench = Losing(auto_reset=True)
    lost(bench)
    assert bench.at(1.15, valve=2.0).tick.reason == "episode over: drop; waiting for the object"
    step = bench.at(1.2)
    assert (step.episode, step.tick.source) == (1, "plan")
    assert [e.event for e in step.events] == ["begin"]
    assert step.episode_time == 0.0


@pytest.mark.parametrize(("last", "over"), [(1.174, False), (1.176, True), (1.2, True), (1.25, True)])
def test_time_is_over_within_half_a_period_of_it(last: float, over: bool) -> None:
    bench = Losing(episode_s=0.2)
    for stamp in (1.0, 1.05, 1.1):
        assert bench.at(stamp).tick.source == "plan"
    step = bench.at(last)
    assert (step.tick.source == "safe") is over
    assert [e.reason for e in step.events] == ["timeout"] * over
    assert not step.dropped


def test_without_a_longest_duration_an_episode_goes_on() -> None:
    bench = Losing()
    assert {step.tick.source for step in bench.run(1.0, 200)} == {"plan"}


def test_of_a_drop_as_time_is_over_the_drop_is_told() -> None:
    bench = Losing(episode_s=0.1)
    step = lost(bench)
    assert [e.reason for e in step.events] == ["drop"]


def test_a_clock_that_goes_back_before_the_episode_ends_it() -> None:
    bench = Losing()
    bench.run(1.0, 3)
    bench.inputs.reset()
    step = bench.at(0.95)
    assert [(e.event, e.reason) for e in step.events] == [("end", "the clock went back")]
    assert (step.tick.source, step.tick.reason) == ("safe", "episode over: the clock went back")
    assert step.events[0].stamp == pytest.approx(1.1)  # of its last tick: no end lies before what it ends


def test_a_reset_ends_the_episode_that_runs_and_none_that_is_over() -> None:
    bench = Losing()
    bench.run(1.0, 2)
    ended = bench.session.reset(1.1)
    assert [(e.event, e.episode, e.reason, e.stamp) for e in ended] == [("end", 0, "reset", 1.1)]
    assert bench.session.reset(1.15) == ()
    bench.run(1.2, 1)
    assert bench.events[-1] == ("begin", 1, "")


def test_a_reset_while_inactive_does_not_make_ready() -> None:
    bench = Losing()
    bench.session.leave(1.0)
    bench.session.reset(1.1)
    assert bench.core.safety.state is SafetyState.INACTIVE
    assert bench.run(1.15, 1)[0].tick.command is None


@pytest.mark.parametrize(
    ("end", "asks"),
    [
        (lambda bench: lost(bench), True),
        (lambda bench: bench.run(1.0, 9), True),  # out of time
        (lambda bench: bench.session.reset(1.1), True),
        (lambda bench: bench.session.stop("e-stop", 1.1), False),
        (lambda bench: bench.session.leave(1.1), False),
        (lambda bench: bench.session.hand_over("operator", 1.1), False),
    ],
    ids=["drop", "timeout", "reset", "stop", "leave", "hand over"],
)
def test_the_scene_is_reset_after_episodes_that_ended_by_themselves_or_by_a_reset(end: Any, asks: bool) -> None:
    for auto, scene in ((True, True), (True, False), (False, True)):
        bench = Losing(auto_reset=auto, reset_scene=scene, episode_s=0.3)
        bench.at(0.9)
        end(bench)
        assert bench.resets == (asks and auto and scene)
        assert (bench.session.episodes.phase is Phase.RESETTING) is (asks and auto and scene)


def test_in_lockstep_nothing_is_sent_while_the_scene_is_to_be_reset() -> None:
    """A command would make it move on; where nobody resets it, one keeps it alive."""
    for auto, scene, lockstep in ((True, True, True), (False, True, True), (True, False, True), (True, True, False)):
        bench = Losing(auto_reset=auto, reset_scene=scene, lockstep=lockstep)
        step = lost(bench)
        assert (step.tick.command is None) is (auto and scene and lockstep)
        assert step.tick.state is SafetyState.HOLDING


def test_of_a_session_that_was_not_asked_to_a_scenes_reset_changes_nothing() -> None:
    bench = Losing(auto_reset=True, reset_scene=True)
    bench.run(1.0, 2)
    bench.session.scene_was_reset(1.1)
    assert bench.session.episodes.phase is Phase.RUNNING
    assert bench.run(1.1, 1)[0].episode_time == pytest.approx(0.1)


def test_a_hand_over_outside_of_an_episode_is_silent_and_ends_none() -> None:
    bench = Losing()
    assert bench.session.hand_over("operator", 1.0)
    assert bench.sent == []
    assert bench.core.safety.state is SafetyState.HANDED_OVER


def test_steps_are_told_to_the_sender_and_remembered_as_the_last() -> None:
    bench = Losing()
    step = bench.at(1.0)
    assert bench.sent == [step]
    assert bench.session.last_sent is step
    held = bench.session.hold("no time", 1.05)
    assert (held.tick.source, held.tick.reason, held.stamp) == ("safe", "no time", 1.05)
    assert held.episode_time == pytest.approx(0.05)
    assert bench.session.last_sent is held
    np.testing.assert_array_equal(held.tick.command, step.tick.command)


# --- goals ------------------------------------------------------------------------------------------------------------


class Rising:
    """A goal that is the time since its zero."""

    def at(self, times: np.ndarray) -> np.ndarray:
        return np.asarray(times, dtype=float)[..., None]


def test_a_sampled_goals_times_count_from_the_begin_of_each_episode() -> None:
    bench = Losing(episode_s=0.2, auto_reset=True)
    bench.core.task.sample_goal = lambda rng, **options: Rising()  # type: ignore[method-assign]
    steps = bench.run(1.0, 8)
    assert [step.goal[0] for step in steps] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0, 0.05, 0.1])
    request = steps[2].tick.request
    assert request is not None
    assert request.goals[:, 0] == pytest.approx(0.1 + request.delay.lead + PERIOD * np.arange(1, 5))


def test_a_given_goals_times_count_from_when_it_was_given_over_episodes() -> None:
    bench = Losing(episode_s=0.2, auto_reset=True)
    bench.session.set_goal(Rising(), 0.5)  # type: ignore[arg-type]
    assert [step.goal[0] for step in bench.run(1.0, 7)] == pytest.approx(0.5 + PERIOD * np.arange(7))


def test_a_goal_that_observes_counts_from_when_it_was_given() -> None:
    bench, goal = Losing(), Watching()
    bench.session.set_goal(goal, 0.25)
    bench.at(1.0, valve=0.3)
    assert goal.seen == [(0.75, 0.3)]


def test_options_of_the_goal_are_kept_to_until_they_change() -> None:
    bench = Losing(goal_options={"angle": 0.5})

    def retune(**config: Any) -> None:
        core = bench.core
        bench.session.reconfigure(core.planner, core.config, core.safety.config, SessionConfig(**config), 1.1)

    bench.run(1.0, 1)
    given = constant_goal(np.array([0.25]))
    bench.session.set_goal(given, 1.05)
    retune(goal_options={"angle": 0.5}, episode_s=9.0)
    assert bench.run(1.1, 1)[0].goal == pytest.approx([0.25])  # another option changes no goal
    bench.session.stop("e-stop", 1.15)
    before = bench.session.episodes._goal
    retune(goal_options={"angle": 0.7})
    assert bench.session.episodes._goal is before  # no episode runs that would need a new one
    bench.session.reset(1.2)
    assert bench.run(1.2, 1)[0].goal == pytest.approx([0.7])


def test_other_options_hold_from_the_next_step_on() -> None:
    bench = Losing()
    bench.run(1.0, 2)
    safety = bench.core.safety.config.model_copy(update={"max_jump": 0.5})
    core = bench.core.config.model_copy(update={"delay_s": 0.07})
    planner = type(bench.core.planner)(3, bench.core.planner.config.model_copy(update={"num_samples": 5}))
    bench.session.reconfigure(planner, core, safety, SessionConfig(episode_s=0.15), 1.1)
    throughput = planner.throughput
    step = bench.run(1.1, 1)[0]
    assert step.tick.solution.plan.evaluated == 5
    assert step.tick.request.delay.lead >= 0.07
    assert step.tick.request.planner.throughput is throughput
    assert bench.core.safety.config is safety
    assert bench.run(1.15, 1)[0].events[0].reason == "timeout"


# --- the time a step takes --------------------------------------------------------------------------------------------


def test_the_next_step_is_expected_to_take_the_median_of_the_last_nine(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("mbrl_controller.control.session.time", SimpleNamespace(monotonic=lambda: clock[0]))
    bench = Losing()
    takes = [0.001, 0.002, 0.003, 0.5, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.010, 0.011]

    def solve(request: Any) -> Any:
        clock[0] += takes[len(bench.sent)]
        return bench.core.solve(request)

    leads = []
    for k in range(len(takes)):
        bench.feed(1.0 + k * PERIOD)
        leads.append(bench.step(1.0 + k * PERIOD, solve).tick.request.delay.lead)
    expected = [0.0] + [float(np.median(takes[max(0, k - 9) : k])) for k in range(1, len(takes))]
    assert leads == pytest.approx(expected)


def test_what_ends_at_the_last_moment_is_sent_and_a_moment_later_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for ends, sent in ((100.0, True), (100.5, False)):
        bench = Losing()
        bench.run(1.0, 2)
        bench.feed(1.1)
        clock = SimpleNamespace(monotonic=lambda ends=ends: ends)
        monkeypatch.setattr("mbrl_controller.control.session.time", clock)
        step = bench.session.step(1.1, 1.1, 1.1, bench.core.solve, expires=100.0)
        assert (step.tick.command is not None) is sent
        assert sent or step.tick.reason == "the step was held up and ended 0.50 s too late"


def test_a_state_with_a_hole_holds_and_nothing_is_known_of_the_hand() -> None:
    bench = Losing()
    bench.run(1.0, 2)
    real = bench.inputs.observation

    def with_a_hole(now: float | None, clock: float | None) -> Any:
        observation = real(now, clock)
        observation.state[7] = np.nan
        return observation

    bench.inputs.observation = with_a_hole  # type: ignore[method-assign]
    step = bench.at(1.1)
    assert (step.tick.source, step.tick.reason) == ("safe", "the state has non-finite entries")
    assert step.observation is None
    assert bench.session._observation is None


# --- what is forgotten ------------------------------------------------------------------------------------------------


def test_a_fresh_session_waits_for_a_state_to_begin_on() -> None:
    bench = Bench()
    session = ControlSession(bench.core, bench.inputs, SessionConfig(), bench.sent.append)
    assert (session.episodes.phase, session.episodes.number, session.last_sent) == (Phase.WAITING, -1, None)
    bench.feed(1.0)
    assert [e.event for e in session.step(1.0, 1.0, 1.0, bench.core.solve).events] == ["begin"]


@pytest.mark.parametrize("anew", ["reset", "enter", "take back"])
def test_a_state_of_before_counts_no_more_however_fresh(anew: str) -> None:
    bench = Losing()
    bench.run(1.0, 3)
    if anew == "reset":
        bench.session.reset(1.11)
    elif anew == "enter":
        bench.session.leave(1.105)
        bench.session.enter(1.11)
    else:
        bench.session.hand_over("operator", 1.105)
        bench.session.take_back("back", 1.11)
    assert bench.step(1.12).tick.command is None
    assert [name for name, *_ in bench.events].count("begin") == 1
    bench.feed(1.13, position=0.4)  # wherever the hand is now
    assert bench.step(1.13).tick.source == "plan"
    assert bench.events[-1] == ("begin", 1, "")


def test_a_plan_made_before_a_hand_over_is_not_followed_after_it() -> None:
    bench = Losing()
    bench.run(1.0, 2)

    def solve(request: Any) -> Any:
        solution = bench.core.solve(request)
        bench.session.hand_over("operator", 1.1)
        bench.session.take_back("back", 1.1)
        return solution

    bench.feed(1.1)
    step = bench.step(1.1, solve)
    assert (step.tick.source, step.tick.reason) == ("safe", "the plan was made before a reset")


def test_a_model_that_fails_after_a_reset_stops_and_ends_no_episode() -> None:
    bench = Losing()
    bench.run(1.0, 2)

    def solve(request: Any) -> Any:
        bench.session.reset(1.1)
        raise RuntimeError("broken")

    bench.feed(1.1)
    step = bench.step(1.1, solve)
    assert (step.tick.state, step.events) == (SafetyState.STOPPED, ())
    assert bench.session.stop("e-stop", 1.15).events == ()


def test_an_episode_that_begins_by_itself_goes_on_with_the_states_there_are() -> None:
    bench = Losing(auto_reset=True)
    lost(bench)
    begun = bench.at(1.15)
    assert begun.events[0].event == "begin"
    valve = bench.inputs.observation(None, None).state[6]
    bench.inputs.receive("joint_states", joint_state(["J0", "J1", "J2"], [0.0] * 3, 1.2), 1.2)
    step = bench.step(1.2)  # the valve's next measurement is not there yet
    assert step.tick.source == "plan"
    assert step.observation is not None
    assert step.observation.state[6] == valve


def test_a_stop_starts_from_the_state_that_an_episode_began_on() -> None:
    bench = Losing(auto_reset=True)
    lost(bench)
    begun = bench.at(1.15)
    assert bench.session.stop("e-stop", 1.16).observation is begun.observation


def test_where_the_hand_was_before_its_states_failed_is_not_held_against_it() -> None:
    """It goes on to neutral without a state, further than the last one known is from there."""
    bench = Losing()
    bench.core.safety.safe = "neutral"
    bench.core.safety.forget_command()
    bench.feed(1.0, position=0.39)
    bench.step(1.0)
    for k in range(8):
        bench.step(1.2 + k * PERIOD)
    stopped = bench.session.stop("e-stop", 2.0).tick.command
    np.testing.assert_allclose(stopped, bench.core.contract.action.neutral)


def test_the_goals_of_a_seed_stay_what_they_were() -> None:
    bench = Bench(seed=3, episode_s=0.2, auto_reset=True)
    steps = bench.run(1.0, 6)
    for episode, step in ((0, steps[0]), (1, steps[5])):
        goal = bench.core.task.sample_goal(np.random.default_rng([3, episode, 2]))
        assert step.goal == pytest.approx(goal.at(np.array(0.0)))


# --- lockstep: the same state again -----------------------------------------------------------------------------------


def test_in_lockstep_a_state_is_answered_anew_in_a_new_episode() -> None:
    bench = Losing(lockstep=True)
    first = bench.at(1.0)
    assert bench.step(1.0).repeated
    bench.session.reset(1.01)
    again = bench.at(1.0)
    assert not again.repeated
    assert again.episode == first.episode + 1


def test_in_lockstep_a_hold_is_made_anew_for_each_state() -> None:
    bench = Losing(lockstep=True)
    lost(bench)
    for _ in range(2):
        step = bench.step(1.1)
        assert not step.repeated
        assert step.tick.source == "safe"


def test_in_lockstep_a_late_state_of_before_the_scenes_reset_gets_no_command() -> None:
    bench = Losing(lockstep=True, auto_reset=True, reset_scene=True)
    lost(bench)
    bench.feed(1.05)  # it was answered before
    step = bench.step(1.05)
    assert not step.repeated
    assert step.tick.command is None


# --- clocks that go back where other things are wrong, too ------------------------------------------------------------


def test_a_clock_that_goes_back_sends_nothing_where_nobody_would_take_it() -> None:
    bench = Losing()
    bench.run(1.0, 3)
    step = bench.session.unheard("nobody listens", 0.95)
    assert (step.tick.command, step.doubt) == (None, Doubt.UNHEARD)
    assert [(e.event, e.reason) for e in step.events] == [("end", "the clock went back")]
    assert bench.core.safety.last_command is None  # the next one starts from where the hand then is


def test_a_clock_that_goes_back_leaves_the_doubt_of_a_state_with_two_publishers() -> None:
    bench = Losing()
    bench.run(1.0, 3)
    step = bench.session.disputed("two publishers", 0.95)
    assert (step.tick.source, step.doubt) == ("safe", Doubt.DISPUTED)
    assert [e.reason for e in step.events] == ["the clock went back"]
