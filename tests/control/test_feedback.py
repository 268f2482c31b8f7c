# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Feedback between ticks: what a newer state changes of the command, and when it must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.doubt import Doubt
from mbrl_controller.control.feedback import PlanFeedback, corrected_target, plan_feedback
from mbrl_controller.control.safety import Safety, SafetyState
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import Observation, Tick
from mbrl_controller.planning.base import Planner, PlannerConfig, PlannerState, PlanResult
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.tasks.base import constant_goal
from mbrl_controller.tasks.spaces import VectorSpec

from .conftest import PlainModel, make_contract, make_core
from .test_session import joint_state

GOAL = constant_goal(np.array([1.0]))
PERIOD, H, GAIN = 0.05, 3, -0.5
SPEC = make_contract().task.state
VALVE = SPEC.index("valve.position")


class Steady(Planner):
    """Keeps the hand where it is; each joint's gain is on its own position, and on the valve's."""

    name = "steady"
    config_type = PlannerConfig
    gives_gains = True
    without_gains = False

    def plan(self, objective, state, deadline=None):
        actions = np.tile(state.last_action, (H, 1))
        gains = np.zeros((H, 3, len(SPEC)))
        gains[:, range(3), range(3)] = gains[:, :, VALVE] = GAIN
        gains[:, :, SPEC.index("valve.velocity")] = 100.0  # says nothing between ticks
        result = PlanResult(actions, 0.0, 1, 1, True, None if self.without_gains else gains)
        return result, PlannerState(actions, actions[0], state.seed, state.tick + 1)


class Still(PlainModel):
    """The valve stays."""

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        states = super().rollout(state, actions)
        states[..., VALVE] = state[VALVE]
        return states


def make(feedback: bool = True, safety: SafetyConfig | None = None, **options) -> ControllerCore:
    contract = make_contract()
    core = ControllerCore(
        contract,
        Still(),  # type: ignore[arg-type]
        Steady(3, PlannerConfig(horizon=H)),
        ControllerConfig(feedback=feedback, delay="none", **options),
        Safety(contract.action, safety or SafetyConfig(ramp_s=0.0)),
    )
    core.reset(0, contract.action.neutral)
    return core


def seen(core: ControllerCore, now: float, valve: float = 0.0, **entries: float) -> Observation:
    state = np.zeros(len(SPEC))
    state[:3] = core.contract.action.neutral
    state[VALVE] = valve
    for name, value in entries.items():
        state[SPEC.index(name.replace("_", ".", 1))] = value
    return Observation(state, now)


def tick(core: ControllerCore, now: float = 0.0) -> Tick:
    return core.tick(seen(core, now), GOAL, now, now=now)


def test_a_state_as_expected_changes_nothing_and_one_off_the_plan_moves_the_command() -> None:
    core = make()
    command = tick(core).command
    assert command is not None
    assert core.correct(seen(core, 0.02), 0.02) is None
    corrected = core.correct(seen(core, 0.03, valve=0.05), 0.03)
    assert corrected is not None
    assert corrected.source == "feedback"
    action = core.contract.action
    assert action.to_normalised(corrected.command) - action.to_normalised(command) == pytest.approx(GAIN * 0.05)
    back = core.correct(seen(core, 0.04), 0.04)
    assert back is not None
    assert back.command == pytest.approx(command)


def test_each_correction_is_of_the_ticks_command_and_not_of_the_one_before() -> None:
    core = make()
    tick(core)
    first = core.correct(seen(core, 0.01, valve=0.1), 0.01)
    again = core.correct(seen(core, 0.02, valve=0.1), 0.02)
    assert first is not None
    assert again is None


def test_a_velocity_off_the_plan_says_nothing_between_ticks() -> None:
    core = make()
    tick(core)
    assert core.correct(seen(core, 0.03, valve_velocity=5.0), 0.03) is None


@pytest.mark.parametrize(
    ("stamp", "now", "why"),
    [
        (0.0, 0.02, "the tick's own state"),
        (-0.01, 0.02, "an older state"),
        (0.11, 0.11, "the plan is too old"),
        (0.02, -0.01, "the clock went back"),
        (np.nan, 0.02, "no stamp"),
    ],
)
def test_what_must_not_be_corrected_is_not(stamp: float, now: float, why: str) -> None:
    core = make()
    tick(core)
    assert core.correct(replace(seen(core, 0.0, valve=0.1), stamp=stamp), now) is None, why


def test_a_state_with_entries_that_are_no_numbers_is_left_alone() -> None:
    core = make()
    tick(core)
    assert core.correct(seen(core, 0.02, valve=np.nan), 0.02) is None
    assert core.correct(seen(core, 0.03, valve=0.1), 0.03) is not None


def test_without_the_option_or_without_gains_nothing_is_corrected() -> None:
    core = make(feedback=False)
    tick(core)
    assert core.correct(seen(core, 0.02, valve=0.1), 0.02) is None
    core = make()
    core.planner.without_gains = True
    tick(core)
    assert core.correct(seen(core, 0.02, valve=0.1), 0.02) is None


@pytest.mark.parametrize("interrupt", ["hold", "stop", "reset", "leave", "hand_over", "none sent"])
def test_an_interruption_ends_the_feedback(interrupt: str) -> None:
    core = make()
    tick(core)
    if interrupt == "hold":
        core.hold("held", seen(core, 0.01), 0.01)
    elif interrupt == "stop":
        core.stop("stopped", seen(core, 0.01), 0.01)
    elif interrupt == "reset":
        core.reset(1)
    elif interrupt == "leave":
        core.leave("left", seen(core, 0.01), 0.01)
    elif interrupt == "hand_over":
        core.safety.hand_over("taken", 0.01)
    else:
        core.send_nothing("unheard", 0.01)
    assert core.correct(seen(core, 0.03, valve=0.1), 0.03) is None


def test_a_late_plan_is_corrected_on_its_next_step_until_it_ends() -> None:
    core = make()
    tick(core)
    for step in (1, 2):
        now = step * PERIOD
        late = core.tick(seen(core, now), GOAL, now, now=now, late=True)
        assert late.source == "previous_plan"
        assert core.correct(seen(core, now + 0.01, valve=0.1), now + 0.01) is not None
    held = core.tick(seen(core, 3 * PERIOD), GOAL, 3 * PERIOD, now=3 * PERIOD, late=True)
    assert held.state is SafetyState.HOLDING


def test_all_corrections_of_a_period_stay_within_what_one_command_may_change() -> None:
    core = make(safety=SafetyConfig(ramp_s=0.0, max_jump=0.5))
    first = tick(core).command
    assert first is not None
    reach = core.contract.action.max_rate * PERIOD
    for k in range(1, 5):
        done = core.correct(seen(core, 0.01 * k, valve=-50.0 if k % 2 else 50.0), 0.01 * k)
        assert done is not None
        assert (np.abs(done.command - first) <= 0.5 * reach + 1e-9).all()
        assert (done.command <= core.contract.action.upper).all()
        assert (done.command >= core.contract.action.lower).all()
        assert core.safety.last_command == pytest.approx(done.command)


def test_while_speed_ramps_up_corrections_do_not_outrun_it() -> None:
    core = make(safety=SafetyConfig(ramp_s=0.5))
    first = tick(core).command
    done = core.correct(seen(core, 0.02, valve=-50.0), 0.02)
    assert done is not None
    reach = core.contract.action.max_rate * PERIOD
    assert (np.abs(done.command - first) <= 0.1 * reach + 1e-9).all()


def test_points_that_a_driver_has_in_advance_are_sent_again_with_a_correction() -> None:
    core = make()
    core.plan_points = 3
    sent = tick(core)
    done = core.correct(seen(core, 0.02, valve=0.1), 0.02)
    assert done is not None
    assert done.following is not None
    assert np.array_equal(done.following, sent.following)


def test_a_delay_is_bridged_by_what_is_expected_on_the_way() -> None:
    gains = np.zeros((1, 1, 2))
    spec = VectorSpec(("j.position", "j.velocity"), ("rad", "rad/s"))
    made = plan_feedback(gains, spec, np.array([0.0, 0.0]), 1.0, 1.2, np.array([[2.0, 0.0], [3.0, 0.0]]), 0.1)
    assert [made.expected(np.full(2, t))[0] for t in (0.9, 1.0, 1.1, 1.2, 1.25, 1.3, 2.0)] == pytest.approx(
        [0.0, 0.0, 1.0, 2.0, 2.5, 3.0, 3.0]
    )


def test_entries_that_were_measured_later_are_compared_with_later_states() -> None:
    made = PlanFeedback(np.array([0.0, 1.0]), np.array([[0.0, 0.0], [1.0, 10.0]]), np.zeros((1, 1, 2)))
    assert made.expected(np.array([0.2, 0.7])) == pytest.approx([0.2, 7.0])


def test_an_angle_off_by_a_turn_is_on_the_plan() -> None:
    spec = VectorSpec(("valve.position",), ("rad",), periodic=(0,))
    made = PlanFeedback(np.array([0.0, 1.0]), np.zeros((2, 1)), np.ones((1, 1, 1)))
    assert made.correction(np.array([2 * np.pi + 0.1]), np.array([0.5]), spec) == pytest.approx([0.1])


def test_a_command_beyond_the_normalised_range_stays_where_nothing_is_to_change() -> None:
    action = make_contract().action
    command = action.upper.copy()
    assert np.array_equal(corrected_target(action, command, np.zeros(3)), command)


def feed(session: ControlSession, stamp: float, valve: float) -> None:
    session.inputs.receive("joint_states", joint_state(["J0", "J1", "J2"], [0.0, 0.1, 0.2], stamp), stamp)
    session.inputs.receive("valve/joint_states", joint_state(["valve"], [valve], stamp), stamp)


def test_a_session_corrects_while_it_plans_and_marks_its_steps() -> None:
    core, sent, corrections = make(), [], []
    session = ControlSession(
        core, StateInput(core.contract), SessionConfig(), sent.append,
        send_correction=lambda tick, stamp: corrections.append((stamp, tick)),
    )  # fmt: skip
    session.enter(0.0)
    assert not session.correct(0.9, 0.9, 0.9)  # before there is an episode
    feed(session, 1.0, 0.0)
    assert session.step(1.0, 1.0, 1.0, core.solve).doubt is Doubt.CORRECTED
    feed(session, 1.02, 0.1)
    assert session.correct(1.02, 1.02, 1.02)

    def solve(request):
        feed(session, 1.07, 0.3)
        assert session.correct(1.07, 1.07, 1.07)  # the plan before, while the next one is in work
        return core.solve(request)

    feed(session, 1.05, 0.1)
    step = session.step(1.05, 1.05, 1.05, solve)
    assert step.tick.source == "plan"
    assert [stamp for stamp, _ in corrections] == [1.02, 1.07]
    assert all(tick.source == "feedback" for _, tick in corrections)
    assert len(sent) == 2
    feed(session, 1.08, 0.5)
    assert not session.correct(1.30, 1.30, 1.30)  # no state that counts, and the plan is too old
    session.stop("stop", 1.31)
    feed(session, 1.32, 0.5)
    assert not session.correct(1.32, 1.32, 1.32)


@pytest.mark.parametrize("acting", ["controller", "distilled"])
def test_feedback_without_gains_is_an_error_before_the_episode(acting: str) -> None:
    core = make_core()
    with pytest.raises(ModelError, match=r"feedback: .*set feedback to false"):
        core.reconfigure(core.planner, ControllerConfig(feedback=True), acting)  # type: ignore[arg-type]


def test_a_model_that_cannot_be_linearised_is_an_error_before_the_episode() -> None:
    core = make_core()
    planner = make_planner("ilqr", 3, {"horizon": 4})
    with pytest.raises(ModelError, match=r"planner ilqr: .*dynamics learned"):
        core.reconfigure(planner, ControllerConfig())
