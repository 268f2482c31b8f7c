# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes, interventions and states that go bad, with time as a number."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.config import SessionConfig
from mbrl_controller.control.doubt import Doubt
from mbrl_controller.control.episode_manager import Phase
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.simulated_time import SimulatedTime
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import Step
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.tasks.base import WaypointGoal, constant_goal

from .conftest import PlainModel, make_contract, make_core

PERIOD = 0.05


def joint_state(names: list[str], position: list[float], stamp: float) -> Any:
    """Never quite at rest, as a real hand is: it would count as frozen."""
    seconds = int(stamp)
    when = SimpleNamespace(sec=seconds, nanosec=round((stamp - seconds) * 1e9))
    header = SimpleNamespace(stamp=when, frame_id="")
    return SimpleNamespace(header=header, name=names, position=position, velocity=[1e-9 * stamp] * len(names))


class Bench:
    """A session with its inputs, fed and ticked by hand."""

    def __init__(
        self,
        lockstep: bool = False,
        reset_scene: bool = False,
        contract: RobotContract | None = None,
        **config: Any,
    ) -> None:
        self.sent: list[Step] = []
        self.resets = 0
        self.core = make_core(contract or make_contract())
        self.inputs = StateInput(self.core.contract)
        self.session = ControlSession(
            self.core,
            self.inputs,
            SessionConfig(**config),
            self.sent.append,
            lockstep=lockstep,
            reset_scene=self._reset if reset_scene else None,
        )
        self.session.enter(0.0)

    def _reset(self) -> None:
        self.resets += 1

    def feed(self, stamp: float, position: float = 0.0, valve: float = 0.0) -> None:
        self.inputs.receive("joint_states", joint_state(["J2", "J0", "J1"], [position] * 3, stamp), stamp)
        self.inputs.receive("valve/joint_states", joint_state(["valve"], [valve], stamp), stamp)

    def step(self, stamp: float, solve: Any = None) -> Step:
        return self.session.step(stamp, stamp, stamp, solve or self.core.solve)

    def run(self, begin: float, steps: int) -> list[Step]:
        taken = []
        for i in range(steps):
            self.feed(begin + i * PERIOD)
            taken.append(self.step(begin + i * PERIOD))
        return taken

    @property
    def events(self) -> list[tuple[str, int, str]]:
        return [(e.event, e.episode, e.reason) for step in self.sent for e in step.events]


def test_waits_for_every_source_then_begins() -> None:
    bench = Bench()
    step = bench.step(1.0)
    assert step.tick.command is None
    assert "no message yet on joint_states, valve/joint_states" in step.tick.reason
    bench.run(1.0, 3)
    assert bench.events == [("begin", 0, "")]
    assert bench.core.safety.state is SafetyState.RUNNING


def test_silence_and_old_stamps_are_told_apart() -> None:
    bench = Bench()
    bench.run(1.0, 2)
    assert "nothing received for 0.35 s" in bench.step(1.4).tick.reason
    for stamp, reason in (
        (1.04, "joint_states: nothing newer received for 0.35 s, only repeated or older stamps"),
        (1.05, "joint_states: nothing newer received for 0.35 s, only repeated or older stamps"),
        (1.15, "joint_states: measured 0.25 s ago, more than 0.2 s"),
        (1.25, "planning"),
    ):
        bench.inputs.receive("joint_states", joint_state(["J0", "J1", "J2"], [0.0] * 3, stamp), 1.4)
        bench.inputs.receive("valve/joint_states", joint_state(["valve"], [0.0], 1.4), 1.4)
        assert bench.step(1.4).tick.reason == reason


def test_silence_is_noticed_a_fifth_of_a_period_after_the_next_measurement_was_due() -> None:
    bench = Bench()
    bench.run(1.0, 2)
    bench.inputs.observation(1.05 + 1.19 * PERIOD, 1.05)
    with pytest.raises(MessageError, match="joint_states: nothing received"):
        bench.inputs.observation(1.05 + 1.21 * PERIOD, 1.05)


def test_a_stamp_from_the_future_does_not_keep_out_those_that_follow() -> None:
    bench = Bench()
    bench.run(1.0, 2)
    bench.feed(9.0)
    with pytest.raises(MessageError, match=r"stamped 7.90 s in the future"):
        bench.inputs.observation(9.0, 1.1)
    bench.feed(1.15)
    assert bench.step(1.15).tick.source == "plan"


def test_what_is_not_ready_in_time_is_not_sent() -> None:
    """The process was stopped while it planned: the hand is elsewhere now."""
    bench = Bench()
    bench.run(1.0, 4)
    bench.feed(1.2)
    step = bench.session.step(1.2, 1.2, 1.2, bench.core.solve, expires=time.monotonic() - 2.0)
    assert (step.tick.command, step.tick.source, step.tick.state) == (None, "none", SafetyState.HOLDING)
    assert "the step was held up and ended 2.0" in step.tick.reason
    assert bench.run(1.25, 1)[-1].tick.source == "plan"
    assert bench.events == [("begin", 0, "")]


def test_a_bad_message_holds_until_a_good_one() -> None:
    bench = Bench()
    before = bench.run(1.0, 2)[-1].tick.command
    bench.inputs.receive("valve/joint_states", joint_state(["valve"], [np.nan], 1.1), 1.1)
    step = bench.step(1.1)
    assert step.tick.source == "safe"
    assert "non-finite value for valve.position" in step.tick.reason
    np.testing.assert_allclose(step.tick.command, bench.core.contract.action.limit(before, np.zeros(3)))
    assert bench.inputs.rejected == {"joint_states": 0, "valve/joint_states": 1}
    assert bench.run(1.15, 1)[-1].tick.source == "plan"
    assert bench.events == [("begin", 0, "")]  # it is still the same episode


def test_an_episode_ends_by_time_and_asks_for_a_reset() -> None:
    bench = Bench(episode_s=0.2)
    steps = bench.run(1.0, 7)
    assert [s.tick.source for s in steps] == ["plan"] * 4 + ["safe"] * 3
    assert bench.events == [("begin", 0, ""), ("end", 0, "timeout")]
    assert "call ~/reset" in steps[-1].tick.reason
    bench.session.reset(2.0)
    bench.run(2.0, 1)
    assert bench.events[-1] == ("begin", 1, "")


def test_auto_reset_without_a_scene_goes_straight_on() -> None:
    bench = Bench(episode_s=0.2, auto_reset=True)
    steps = bench.run(1.0, 10)
    assert [s.episode for s in steps] == [0] * 5 + [1] * 5
    assert all(s.tick.command is not None for s in steps)


def test_a_new_episode_of_a_hand_that_nobody_moved_keeps_to_the_command_before() -> None:
    bench = Bench(episode_s=0.2, auto_reset=True)
    last = bench.run(1.0, 5)[-1].tick.command
    bench.feed(1.25, position=0.4)  # the last joint is now further from its command than anything allows
    step = bench.step(1.25)
    assert step.tick.command is None
    assert "too far from its command" in step.tick.reason
    bench.session.reset(1.3)  # a person says that it is there
    bench.feed(1.3, position=0.4)
    step = bench.step(1.3)
    assert step.tick.source == "plan"
    assert np.abs(step.tick.command - last).max() > 0.1


def test_a_hold_without_a_state_keeps_the_last_command_and_nothing_else() -> None:
    bench = Bench()
    last = bench.run(1.0, 3)[-1].tick.command
    for stamp in (1.4, 1.45):  # silent since 1.1
        assert (bench.step(stamp).tick.command == last).all()
    assert (bench.session.stop("e-stop", 1.5).tick.command == last).all()


def test_an_operator_takes_the_hand_and_gives_it_back() -> None:
    bench = Bench(auto_reset=True, reset_scene=True)
    bench.run(1.0, 3)
    sent = len(bench.sent)
    assert bench.session.hand_over("operator", 1.15)
    assert [step.tick.command for step in bench.sent[sent:]] == [None]
    assert bench.events[-1] == ("end", 0, "hand-over")
    assert bench.resets == 0  # the operator has the scene, too
    assert all(step.tick.command is None for step in bench.run(1.2, 3))
    assert not bench.session.hand_over("operator", 1.4)  # once more changes nothing
    assert len(bench.events) == 2
    assert bench.session.take_back("back", 2.0)
    assert bench.step(2.0).tick.command is None  # what was known before counts no more
    bench.feed(2.05, position=0.4)  # wherever the operator left it
    assert bench.step(2.05).tick.source == "plan"
    assert bench.events[-1] == ("begin", 1, "")
    assert bench.session.take_back("back", 2.1) is False


def test_activation_after_a_stopped_hand_over_takes_neither_back() -> None:
    bench = Bench()
    bench.run(1.0, 2)
    bench.session.hand_over("operator", 1.1)
    bench.session.stop("e-stop", 1.15)
    bench.session.leave(1.2)
    bench.session.enter(2.0)
    assert bench.core.safety.state is SafetyState.STOPPED
    bench.session.reset(2.1)
    assert bench.core.safety.state is SafetyState.HANDED_OVER
    assert all(step.tick.command is None for step in bench.run(2.1, 3))
    bench.session.take_back("back", 2.3)
    assert bench.run(2.3, 1)[-1].tick.source == "plan"


def test_the_planning_time_counts_as_delay_but_not_in_lockstep() -> None:
    for lockstep in (False, True):
        bench = Bench(lockstep=lockstep)
        bench.core.config = bench.core.config.model_copy(update={"delay": "measured"})
        steps = bench.run(1.0, 4)
        leads = [step.tick.request.delay.lead for step in steps]
        assert leads[0] == 0.0  # nothing is known of it yet
        assert all((lead > 0) is not lockstep for lead in leads[1:])


def test_auto_reset_waits_for_the_scene_and_for_what_comes_after_it() -> None:
    bench = Bench(episode_s=0.2, auto_reset=True, reset_scene=True)
    bench.run(1.0, 6)
    assert bench.resets == 1
    assert bench.session.episodes.phase is Phase.RESETTING
    assert "waiting for the scene" in bench.run(1.3, 1)[-1].tick.reason
    bench.session.scene_was_reset(1.34)
    bench.feed(1.33)  # received before, only read later
    assert bench.step(1.35).tick.source == "none"  # the states from before the reset do not count
    bench.run(1.4, 1)
    assert bench.events[-1] == ("begin", 1, "")


def test_in_lockstep_the_end_sends_nothing_and_a_repeated_state_its_command() -> None:
    bench = Bench(episode_s=0.2, auto_reset=True, reset_scene=True, lockstep=True)
    first = bench.run(1.0, 4)[-1]
    again = bench.step(1.15)
    assert again.repeated
    np.testing.assert_array_equal(again.tick.command, first.tick.command)
    assert again.events == ()
    assert bench.run(1.2, 1)[-1].tick.command is None
    bench.feed(0.0)  # the scene's clock may start again
    bench.session.scene_was_reset(1.3)
    assert bench.step(0.0).tick.source == "plan"


def test_in_lockstep_no_episode_begins_on_the_last_state_of_the_one_before_sent_again() -> None:
    bench = Bench(episode_s=0.2, auto_reset=True, reset_scene=True, lockstep=True)
    bench.run(1.0, 5)
    bench.feed(1.2)
    bench.session.scene_was_reset(1.3)
    assert bench.step(1.2).tick.command is None
    bench.feed(2.0)
    assert bench.step(2.0).tick.source == "plan"
    assert bench.events[-1] == ("begin", 1, "")


def test_nothing_is_sent_after_a_stop_not_even_by_a_plan_in_work() -> None:
    bench = Bench()
    bench.run(1.0, 2)

    def solve(request: Any) -> Any:
        solution = bench.core.solve(request)
        bench.session.stop("e-stop", 1.1)
        return solution

    bench.feed(1.1)
    step = bench.step(1.1, solve)
    assert step.tick.command is None
    assert bench.sent[-2].tick.source == "safe"
    assert all(s.tick.command is None for s in bench.run(1.15, 3))
    bench.session.reset(2.0)
    assert bench.run(2.0, 1)[-1].tick.source == "plan"
    assert bench.events == [("begin", 0, ""), ("end", 0, "stop"), ("begin", 1, "")]


def test_a_plan_from_before_a_reset_is_not_followed() -> None:
    bench = Bench()
    bench.run(1.0, 2)

    def solve(request: Any) -> Any:
        bench.session.reset(1.1)
        return bench.core.solve(request)

    bench.feed(1.1)
    assert bench.step(1.1, solve).tick.source == "safe"


def test_a_model_that_raises_stops() -> None:
    bench = Bench()
    bench.run(1.0, 1)

    def solve(request: Any) -> Any:
        raise RuntimeError("shape mismatch")

    bench.feed(1.05)
    step = bench.step(1.05, solve)
    assert step.tick.source == "safe"
    assert step.tick.state is SafetyState.STOPPED
    assert "RuntimeError: shape mismatch" in bench.core.safety.reason
    assert bench.events[-1] == ("end", 0, "stop")


def test_leaving_sends_the_safe_command_and_a_new_session_starts_clean() -> None:
    bench = Bench()
    bench.run(1.0, 2)
    assert bench.session.leave(1.1).tick.source == "safe"
    assert bench.run(1.1, 1)[-1].tick.command is None
    assert bench.events[-1] == ("end", 0, "deactivate")
    bench.session.enter(2.0)
    assert bench.step(2.0).tick.command is None  # what was known before counts no more
    assert bench.run(2.05, 1)[-1].tick.source == "plan"


def test_a_given_goal_counts_from_its_receipt_and_options_replace_it() -> None:
    bench = Bench(goal_options={"angle": 0.5})
    assert bench.run(1.0, 1)[-1].goal == pytest.approx([0.5])
    bench.session.set_goal(constant_goal(np.array([0.25])), 1.05)
    assert bench.run(1.05, 1)[-1].goal == pytest.approx([0.25])
    planner = make_planner("pddm", 3, {"num_samples": 4, "horizon": 4})
    config = SessionConfig(goal_options={"angle": -0.5})
    bench.session.reconfigure(planner, bench.core.config, bench.core.safety.config, config, 1.1)
    assert bench.run(1.1, 1)[-1].goal == pytest.approx([-0.5])
    assert bench.sent[-1].tick.solution.plan.evaluated == 4
    with pytest.raises(ValueError, match="shape"):
        bench.core.reconfigure(make_planner("pddm", 3, {"horizon": 9}), bench.core.config)


def test_a_swapped_model_is_used_from_the_next_step_on() -> None:
    bench = Bench()
    new = PlainModel()
    new.version = "new"

    def solve(request: Any) -> Any:
        bench.session.swap(new)
        return bench.core.solve(request)

    bench.feed(1.0)
    assert bench.step(1.0, solve).tick.solution.model_version == "plain"
    assert bench.run(1.05, 1)[-1].tick.solution.model_version == "new"


def episodes(count: int, **config: Any) -> list[list[Step]]:
    """The steps of so many episodes of one session."""
    bench = Bench(**config)
    found = []
    for episode in range(count):
        found.append(bench.run(1.0 + episode, 6))
        bench.session.reset(1.5 + episode)
    return found


def test_the_same_seed_gives_the_same_episodes() -> None:
    def commands(seed: int) -> Any:
        return np.array([[s.tick.command for s in steps] for steps in episodes(3, seed=seed, exploration_noise=0.1)])

    np.testing.assert_array_equal(commands(3), commands(3))
    assert (commands(3) != commands(4)).any(axis=(1, 2)).all()


def test_each_episode_of_a_session_has_its_own_goal_and_numbers() -> None:
    steps = [taken[0] for taken in episodes(4, seed=3)]
    assert len({step.goal[0] for step in steps}) == 4
    assert len({step.tick.request.planner_state.seed for step in steps}) == 4


def test_each_episode_is_explored_in_its_own_way() -> None:
    """The planner is kept out of it: what is sent is the noise."""

    def noise(**config: Any) -> list[Any]:
        bench, sent = Bench(**config), []

        def neutral(request: Any) -> Any:
            solution = bench.core.solve(request)
            solution.targets[:] = bench.core.contract.action.neutral
            return solution

        for begin in (1.0, 2.0):
            bench.session.reset(begin)
            bench.feed(begin, position=0.1)
            sent.append(bench.step(begin, neutral).tick.command)
        return sent

    one, other = noise(exploration_noise=0.05)
    assert (one != other)[:2].all()  # the third is as far as it may go
    still = noise()
    np.testing.assert_array_equal(still[0], still[1])


class Watching:
    """A goal that wants what it saw last, and remembers when that was."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def at(self, times: Any) -> Any:
        return np.full((*np.shape(times), 1), self.seen[-1][1])

    def observe(self, state: Any, time: float) -> None:
        self.seen.append((time, float(state[-2])))  # the valve's angle


def test_a_goal_that_observes_sees_each_state_before_it_is_asked() -> None:
    bench, goal = Bench(), Watching()
    bench.session.set_goal(goal, 1.0)
    for i, angle in enumerate((0.1, 0.3, 0.2)):
        bench.feed(1.0 + i * PERIOD, valve=angle)
        step = bench.step(1.0 + i * PERIOD)
        assert step.goal is not None
        assert step.goal[0] == pytest.approx(angle)
        assert step.tick.request is not None
        assert step.tick.request.goals[:, 0] == pytest.approx(angle)
    assert goal.seen == [(pytest.approx(i * PERIOD), a) for i, a in enumerate((0.1, 0.3, 0.2))]


@pytest.mark.parametrize("jump", [-0.06, -0.5, -700.0])
def test_a_clock_that_goes_back_ends_the_episode_with_the_last_good_tick(jump: float) -> None:
    """Whether by more than the episode's age or not: stamps would come twice in it."""
    bench = Bench()
    last = bench.run(1000.0, 20)[-1]
    step = bench.step(last.stamp + PERIOD + jump)
    (event,) = step.events
    assert (event.event, event.reason, event.stamp) == ("end", "the clock went back", last.stamp)
    assert step.tick.source == "safe"
    assert all(s.tick.source in ("safe", "none") for s in bench.run(last.stamp + 2 * PERIOD + jump, 3))
    bench.session.reset(last.stamp + 6 * PERIOD + jump)
    again = bench.run(last.stamp + 7 * PERIOD + jump, 3)
    assert [s.tick.source for s in again] == ["plan"] * 3
    assert again[0].events[0].stamp == again[0].stamp


@pytest.mark.parametrize("ending", ["stop", "reset", "hand over", "leave"])
def test_no_end_lies_before_its_begin(ending: str) -> None:
    """The clock went back, and something else ended the episode before a tick could notice."""
    bench = Bench()
    last = bench.run(1000.0, 5)[-1]
    session, back = bench.session, 3.0
    if ending == "reset":
        (event,) = session.reset(back)
    elif ending == "hand over":
        session.hand_over("operator", back)
        (event,) = bench.sent[-1].events
    else:
        (event,) = (session.stop("e-stop", back) if ending == "stop" else session.leave(back)).events
    assert event.stamp == last.stamp


def test_holds_notice_a_clock_that_goes_back_too() -> None:
    bench = Bench()
    last = bench.run(1000.0, 5)[-1]
    assert bench.session.hold("no time on /clock yet", 0.0).events[0].stamp == last.stamp


def test_a_goal_from_before_the_clock_went_back_begins_with_the_next_episode() -> None:
    bench = Bench()
    bench.session.set_goal(WaypointGoal(np.array([0.0, 0.1]), np.array([[0.1], [0.3]])), 1000.0)
    bench.run(1000.0, 5)
    bench.step(3.0)
    bench.session.reset(3.0)
    goals = [step.goal[0] for step in bench.run(3.0, 4)]
    assert goals[-1] == pytest.approx(0.3)


def test_a_simulated_world_that_was_reset_is_begun_from_where_its_hand_is() -> None:
    """Where time is simulated and went back, the hand was put elsewhere; a real hand's was not moved."""
    for simulated in (SimulatedTime(), None):
        bench = Bench(auto_reset=True)
        bench.session._simulated = simulated
        bench.run(1000.0, 5)
        bench.step(1.0)
        bench.feed(1.05, position=0.4)
        step = bench.step(1.05)
        assert (step.tick.source == "plan") is (simulated is not None)


def test_nobody_listens_is_ready_with_no_episode_and_nothing_sent() -> None:
    bench = Bench()
    for i in range(3):
        bench.feed(1.0 + i * PERIOD)
        step = bench.session.unheard("nobody takes the commands", 1.0 + i * PERIOD)
        assert (step.tick.command, step.tick.state) == (None, SafetyState.READY)
        assert (step.tick.reason, step.doubt) == ("nobody takes the commands", Doubt.UNHEARD)
    assert bench.events == []
    assert bench.run(1.2, 1)[-1].tick.source == "plan"


def test_a_listener_that_vanishes_holds_and_the_next_command_starts_from_where_the_hand_is() -> None:
    bench = Bench()
    bench.run(1.0, 5)
    step = bench.session.unheard("nobody takes the commands", 1.25)
    assert (step.tick.command, step.tick.state, step.doubt) == (None, SafetyState.HOLDING, Doubt.UNHEARD)
    bench.feed(1.3, position=0.4)  # without a driver it fell
    step = bench.step(1.3)
    assert (step.tick.source, step.doubt) == ("plan", Doubt.NONE)
    assert bench.events == [("begin", 0, "")]


def test_a_disputed_state_counts_for_nothing_afterwards() -> None:
    bench = Bench()
    last = bench.run(1.0, 5)[-1].tick.command
    bench.feed(1.25, position=0.9)  # the other publisher's
    step = bench.session.disputed("joint_states has 2 publishers", 1.25)
    assert (step.tick.source, step.doubt, step.observation) == ("safe", Doubt.DISPUTED, None)
    assert (step.tick.command == last).all()
    assert "no message yet" in bench.step(1.26).tick.reason
    assert bench.run(1.3, 1)[-1].tick.source == "plan"
    assert bench.events == [("begin", 0, "")]


@pytest.mark.parametrize("what", ["unheard", "disputed"])
def test_in_lockstep_time_stands_still_while_it_holds(what: str) -> None:
    """Without a measurement there is no other stamp than the node's own clock, which has nothing to do with it."""
    bench = Bench(lockstep=True)
    bench.run(1.0, 5)
    assert getattr(bench.session, what)("reason", 1.7e9).tick.command is None
    assert not bench.step(1.7e9).events
    assert bench.run(1.25, 1)[-1].tick.source == "plan"
    assert bench.events == [("begin", 0, "")]
