# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Pulses on the commands, and corrections between steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbrl_controller.simulation.disturbance import CommandDisturbance
from mbrl_controller.simulation.env import Corrections, HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.sim_options import SimOptions

PULSES = SimOptions(command_disturbance=0.2)


@given(seed=st.integers(0, 2**32 - 1), every=st.sampled_from([0.3, 1.0]))
@settings(max_examples=20, deadline=None)
def test_each_span_has_one_pulse_of_its_length(seed: int, every: float) -> None:
    made = CommandDisturbance(PULSES.model_copy(update={"command_disturbance_every": every}), 4)
    made.reset(seed)
    time, lasted = 0.0, 0.0
    while time < 3 - 1e-9:
        step, offset = made.until(time), made.offset(time + 1e-7)
        assert step > 0
        if offset is not None:
            assert np.abs(offset) == pytest.approx(0.2)
            lasted += step
        time += step
    assert lasted == pytest.approx(0.05 * round(3 / every), abs=0.051)


def test_a_seed_decides_the_pulses_whenever_they_are_asked_for() -> None:
    made, again = CommandDisturbance(PULSES, 3), CommandDisturbance(PULSES, 3)
    made.reset(7)
    again.reset(7)
    times = np.arange(0, 4, 0.01)
    forwards = [made.offset(t) for t in times]
    backwards = [again.offset(t) for t in times[::-1]][::-1]
    assert all(
        (a is None) == (b is None) and (a is None or (a == b).all()) for a, b in zip(forwards, backwards, strict=True)
    )
    again.reset(8)
    assert any((a is None) != (b is None) for a, b in zip(forwards, [again.offset(t) for t in times], strict=True))


def test_a_pulse_moves_the_joints_and_the_command_in_force_stays(contract_of) -> None:
    contract = contract_of("valve")
    plain, pushed = HandSimulation(contract), HandSimulation(contract, PULSES)
    assert np.array_equal(plain.reset(3), pushed.reset(3))
    moved = []
    for _ in range(20):
        ours, theirs = plain.step(contract.action.neutral), pushed.step(contract.action.neutral)
        moved.append(np.abs(ours - theirs)[:9].max())
        assert np.array_equal(pushed.held_target, plain.held_target)
    first = int(np.argmax(np.array(moved) > 0))
    made = CommandDisturbance(PULSES, 9)
    made.reset(3)
    made.offset(0.0)
    assert first == int(made._now[0] // contract.action.period)
    assert max(moved) > 0.02


def test_how_time_is_cut_does_not_change_a_disturbed_hand(contract_of) -> None:
    contract = contract_of("valve")
    whole, parts = HandSimulation(contract, PULSES), HandSimulation(contract, PULSES)
    whole.reset(3)
    parts.reset(3)
    for hand in (whole, parts):
        hand.command(contract.action.neutral)
    whole.advance(1.0)
    for _ in range(100):
        parts.advance(0.01)
    assert np.array_equal(whole.state(), parts.state())


def test_measuring_between_steps_changes_nothing_by_itself(contract) -> None:
    plain, between = HandEnv(HandSimulation(contract)), HandEnv(HandSimulation(contract), measures_between=True)
    assert np.array_equal(plain.reset(3)[1], between.reset(3)[1])
    target = contract.action.to_target(np.full(len(contract.action), 0.2))
    for _ in range(3):
        (at, state), (same, seen) = plain.step(target), between.step(target)
        assert at == pytest.approx(same, abs=1e-9)
        assert np.array_equal(state, seen)


def test_corrections_see_newer_states_at_their_rate_and_act_at_once(contract_of) -> None:
    contract = contract_of("valve")
    env = HandEnv(HandSimulation(contract), measures_between=True)
    env.reset(0)
    asked = []
    other = contract.action.to_target(np.full(9, 0.3))

    def correct(now: float, stamp: float, state: np.ndarray) -> np.ndarray | None:
        asked.append((now, stamp))
        return other if len(asked) == 2 else None

    env.step(contract.action.neutral, Corrections(50.0, correct))
    assert [now for now, _ in asked] == pytest.approx([0.02, 0.04, 0.06, 0.08])
    assert [stamp for _, stamp in asked] == pytest.approx([0.02, 0.04, 0.06, 0.08])
    assert env.simulation.held_target == pytest.approx(other, abs=0.05)
    env.step(contract.action.neutral, Corrections(5.0, correct))
    assert len(asked) == 4  # slower than the steps: nothing between


def test_corrections_pass_through_the_latencies(contract_of) -> None:
    contract = contract_of("valve")
    options = SimOptions(observation_latency=0.02, command_latency=0.05)
    env = HandEnv(HandSimulation(contract, options), measures_between=True)
    env.reset(0)
    seen = []
    env.step(contract.action.neutral, Corrections(50.0, lambda now, stamp, state: seen.append(now - stamp)))
    assert seen == pytest.approx([0.02] * 4)
