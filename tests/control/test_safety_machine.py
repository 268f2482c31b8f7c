# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Any sequence of events around a session, as messages, times and interventions: what is sent is always allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig
from mbrl_controller.control.limits import allowed
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import Step

from .conftest import PlainModel, make_contract, make_core
from .test_session import joint_state

PERIOD = 0.05
# Everywhere within a plausible sensor's range: in the limits (-1 to 1), near them, and far off.
angle = st.one_of(st.floats(-1, 1), st.floats(-3, 3))
bad = st.sampled_from([np.nan, np.inf, -np.inf])
SILENT = {SafetyState.INACTIVE, SafetyState.STOPPED, SafetyState.HANDED_OVER}
intervention = st.sampled_from(["stop", "reset", "hand over", "take back", "swap", "scene reset", "leave", "enter"])
during_planning = st.one_of(st.just(""), st.just(""), st.just(""), intervention)
fault = st.sampled_from(["", "", "late", "NaN plan", "model raises", "model gives NaN", "model disagrees"])


class Machine(RuleBasedStateMachine):
    """`sent`: the last command since a person put the controller in charge; the hand has it still."""

    @initialize(
        safe=st.sampled_from(["hold", "neutral"]),
        auto_reset=st.booleans(),
        scene=st.booleans(),
        delay=st.sampled_from(["none", "given", "measured"]),
        ramp=st.sampled_from([0.0, 0.2]),
        exploration=st.sampled_from([0.0, 1.0]),
        episode=st.sampled_from([0.0, 0.3]),
    )
    def begin(
        self, safe: str, auto_reset: bool, scene: bool, delay: str, ramp: float, exploration: float, episode: float
    ) -> None:
        self.core = make_core(make_contract(safe), safety=SafetyConfig(ramp_s=ramp), delay=delay, delay_s=0.07)
        self.action = self.core.contract.action
        self.inputs = StateInput(self.core.contract)
        self.config = SessionConfig(auto_reset=auto_reset, exploration_noise=exploration, episode_s=episode)
        self.session = ControlSession(
            self.core, self.inputs, self.config, self.check, reset_scene=(lambda: None) if scene else None
        )
        self.steady, self.clock = 100.0, 1000.0
        self.sent: np.ndarray | None = None
        self.silent = True
        self.turn = 0.0

    def check(self, step: Step) -> None:
        """Every step that is sent comes by here, under the session's lock."""
        command, silent = step.tick.command, self.silent
        self.silent = self.core.safety.state in SILENT
        if command is None:
            return
        assert not silent
        assert np.isfinite(command).all()
        assert (command >= self.action.lower).all()
        assert (command <= self.action.upper).all()
        reach = self.action.max_rate * self.action.period + 1e-9
        if step.observation is not None:
            measured = step.observation.state[self.core.task.joint_positions]
            assert (np.abs(command - measured) <= reach).all()
            if step.tick.source == "plan" and not (self.config.exploration_noise or self.core.safety.config.ramp_s):
                assert step.tick.solution is not None
                window = allowed(self.action, measured, self.sent, self.core.safety.config.max_jump)
                np.testing.assert_allclose(command, window.nearest(step.tick.solution.targets[0]), atol=1e-12)
        if self.sent is not None:
            assert (np.abs(command - self.sent) <= self.core.safety.config.max_jump * reach).all()
        self.sent = command

    def changed(self, in_charge: bool = False) -> None:
        """Something happened between two steps; `in_charge`: a person let the controller start from the hand."""
        self.silent = self.core.safety.state in SILENT
        if in_charge:
            self.sent = None

    # --- the hand ---------------------------------------------------------------------------------------------

    @rule(position=st.tuples(angle, angle, angle), age=st.sampled_from([0.0, 0.02, 0.3, -0.5]))
    def measure(self, position: tuple[float, ...], age: float) -> None:
        self._receive(list(position), age)

    @rule(move=st.tuples(*[st.floats(-0.04, 0.04)] * 3))
    def follow(self, move: tuple[float, ...]) -> None:
        """The hand is about where it was told to be."""
        self._receive(list((self.action.neutral if self.sent is None else self.sent) + np.array(move)), 0.0)

    @rule(value=bad, joint=st.integers(0, 2))
    def measure_nonsense(self, value: float, joint: int) -> None:
        position = [0.0, 0.1, 0.2]
        position[joint] = value
        self._receive(position, 0.0)

    @rule()
    def measure_too_few_joints(self) -> None:
        self.inputs.receive("joint_states", joint_state(["J0", "J2"], [0.0, 0.0], self.clock), self.steady)

    def _receive(self, position: list[float], age: float) -> None:
        self.turn += 1e-3
        stamp = self.clock - age
        self.inputs.receive("joint_states", joint_state(["J0", "J1", "J2"], position, stamp), self.steady)
        self.inputs.receive("valve/joint_states", joint_state(["valve"], [self.turn], stamp), self.steady)

    # --- time -------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([PERIOD, PERIOD, 0.01, 0.15, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.steady += seconds
        self.clock += seconds

    @rule(seconds=st.sampled_from([-700.0, -0.3, -0.01, 0.01, 0.3, 700.0]))
    def clock_jumps(self, seconds: float) -> None:
        self.clock += seconds

    # --- control ----------------------------------------------------------------------------------------------

    @rule(what=fault, meanwhile=during_planning)
    def step(self, what: str, meanwhile: str) -> None:
        self.core.swap(PlainModel(spread=9.0 * (what == "model disagrees"), broken=what == "model gives NaN"))

        def solve(request: Any) -> Any:
            with np.errstate(all="ignore"):
                solution = self.core.solve(request)
            self.intervene(meanwhile)
            if what == "model raises":
                raise RuntimeError("shape mismatch")
            if what == "NaN plan":
                solution.targets[:] = np.nan
            return None if what == "late" else solution

        self.session.step(self.clock, self.steady, self.clock, solve)
        self.changed()
        self.time_passes(PERIOD)

    @rule(position=st.tuples(angle, angle, angle), what=fault, meanwhile=during_planning)
    def step_with_the_hand_anywhere(self, position: tuple[float, ...], what: str, meanwhile: str) -> None:
        self.measure(position, 0.0)
        self.step(what, meanwhile)

    @rule(move=st.tuples(*[st.floats(-0.04, 0.04)] * 3), what=fault, meanwhile=during_planning)
    def step_with_the_hand_in_place(self, move: tuple[float, ...], what: str, meanwhile: str) -> None:
        self.follow(move)
        self.step(what, meanwhile)

    @rule()
    def run_well(self) -> None:
        """A person puts things right, and some ticks go by without trouble."""
        for what in ("enter", "reset", "take back", "scene reset"):
            self.intervene(what)
        sources = []
        for i in range(4):
            self.follow((0.001 * i,) * 3)
            self.step("", "")
            assert self.session.last_sent is not None
            sources.append(self.session.last_sent.tick.source)
        assert sources == ["plan"] * 4

    @rule(reason=st.just("no time yet"))
    def hold(self, reason: str) -> None:
        self.session.hold(reason, self.clock)

    @rule()
    def nobody_listens(self) -> None:
        """Where commands reach nobody, the hand has none."""
        silent = self.core.safety.state in SILENT
        assert self.session.unheard("nobody", self.clock).tick.command is None
        self.changed(in_charge=not silent)

    @rule()
    def two_publish(self) -> None:
        assert self.session.disputed("two publishers", self.clock).observation is None

    @rule(what=intervention)
    def intervene(self, what: str) -> None:
        session, before = self.session, self.core.safety.state
        activated = what == "enter" and before in (SafetyState.INACTIVE, SafetyState.STOPPED)
        taken = what == "reset" or activated
        if what == "stop":
            session.stop("e-stop", self.clock)
            assert self.core.safety.state is SafetyState.STOPPED
        elif what == "reset":
            session.reset(self.clock)
        elif what == "hand over":
            session.hand_over("operator", self.clock)
        elif what == "take back":
            taken = session.take_back("back", self.clock)
        elif what == "swap":
            session.swap(PlainModel())
        elif what == "scene reset":
            taken = session.episodes.phase.value == "resetting"
            session.scene_was_reset(self.steady)
        elif what == "leave":
            session.leave(self.clock)
        elif activated:
            session.enter(self.clock)
        if before is SafetyState.STOPPED and what != "reset":
            assert self.core.safety.state is SafetyState.STOPPED
        if before is SafetyState.HANDED_OVER and what not in ("stop", "take back", "leave"):
            assert self.core.safety.state is SafetyState.HANDED_OVER
        self.changed(in_charge=taken)

    @rule(jump=st.sampled_from([0.5, 2.0]), candidates=st.sampled_from([4, 8]))
    def retune(self, jump: float, candidates: int) -> None:
        planner = type(self.core.planner)(3, self.core.planner.config.model_copy(update={"num_samples": candidates}))
        safety = self.core.safety.config.model_copy(update={"max_jump": jump})
        self.session.reconfigure(planner, ControllerConfig(), safety, self.config, self.clock)

    @invariant()
    def every_transition_has_a_reason(self) -> None:
        assert all(change.reason for change in self.core.safety.transitions)


TestSafety = Machine.TestCase
TestSafety.settings = settings(deadline=None, max_examples=150, stateful_step_count=50)
