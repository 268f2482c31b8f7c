# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A sensor that sends on without measuring is told from a hand at rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract, parse_contract
from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.stuck_sensors import MIN_MOTION_FRACTION, StuckSensorMonitor
from mbrl_controller.tasks.base import constant_goal

from .conftest import CONTRACT as TEXT
from .conftest import make_contract, make_core

CONTRACT = make_contract()
REACH = CONTRACT.action.max_rate * CONTRACT.action.period
STATE = np.zeros(8)  # joint positions and velocities, valve position and velocity
GOAL = constant_goal(np.array([1.0]))


def watch(states: Any, commands: Any, joints: int = 5, objects: int = 0, stamps: Any = None) -> list[str]:
    sensors = StuckSensorMonitor(CONTRACT)
    stamps = range(len(states)) if stamps is None else stamps
    return [
        sensors.problem(np.asarray(s, dtype=float), float(t), c, joints, objects)
        for s, c, t in zip(states, commands, stamps, strict=True)
    ]


def moving(count: int) -> list[np.ndarray]:
    return [(i % 2) * REACH for i in range(count)]


def test_joints_that_stand_still_under_moving_commands_are_frozen_until_one_moves() -> None:
    states = [STATE - 1.0] + [STATE] * 8 + [STATE + 1e-12]
    found = watch(states, moving(10))
    assert [bool(text) for text in found] == [False] * 6 + [True] * 3 + [False]
    assert found[6].startswith("joint_states: the same values for 5 periods")


def test_a_frozen_sensor_is_noticed_within_two_periods() -> None:
    """It froze between the looks 3 and 4: at look 5 it has stood still for more than one period, and less than two."""
    states = [STATE + 1e-3 * min(i, 4) for i in range(8)]
    found = watch(states, moving(8), joints=SafetyConfig().frozen_periods)
    assert [bool(text) for text in found] == [False] * 5 + [True] * 3


def test_a_hand_at_rest_has_more_than_a_period_to_start_moving() -> None:
    """The command that is in force at look 50 was sent after look 49: only at look 51 it must show."""
    commands = [0 * REACH] * 50 + moving(51)[1:]
    found = watch([STATE] * 100, commands, joints=1)
    assert [bool(text) for text in found] == [False] * 51 + [True] * 49


def test_a_hand_that_was_held_while_it_moved_is_not_frozen_when_it_goes_on() -> None:
    states = [STATE + 1e-3 * min(i, 5) for i in range(20)] + [STATE + 1e-3 * i for i in range(20)]
    commands = [*moving(6), *[REACH] * 14, *moving(20)]
    assert not any(watch(states, commands, joints=1))


def test_commands_that_creep_move_too() -> None:
    found = watch([STATE] * 20, [0.1 * i * REACH for i in range(20)], joints=1)
    assert [bool(text) for text in found] == [False] * 4 + [True] * 16


def test_a_quick_hand_that_came_to_rest_where_it_was_sent_is_not_frozen() -> None:
    states = [STATE + 1e-3 * min(i, 4) for i in range(20)]
    assert not any(watch(states, [min(i, 4) * REACH for i in range(20)], joints=1))


def test_a_hand_at_rest_is_not_frozen() -> None:
    assert not any(watch([STATE] * 50, [REACH] * 50))
    assert not any(watch([STATE] * 50, [i % 2 * 0.9 * MIN_MOTION_FRACTION * REACH for i in range(50)]))
    assert not any(watch([STATE] * 50, [None] * 50))


def test_values_whose_stamps_stand_still_are_stale_and_not_frozen() -> None:
    assert not any(watch([STATE] * 50, moving(50), stamps=[1.0] * 50))


def test_a_single_blocked_joint_is_not_frozen() -> None:
    states = [STATE + np.array([0, 0, 1e-6 * i, 0, 0, 0, 0, 0]) for i in range(50)]
    assert not any(watch(states, moving(50)))


def test_objects_are_watched_where_someone_says_so() -> None:
    states = [STATE + np.array([*[1e-6 * i] * 6, 0, 0]) for i in range(10)]
    assert not any(watch(states, moving(10)))
    assert watch(states, moving(10), objects=7)[8].startswith("valve/joint_states")
    assert not any(watch([STATE] * 20, moving(20), joints=0))


def test_a_tracker_that_stands_still_is_frozen_while_the_velocity_made_of_its_poses_fades() -> None:
    document = yaml.safe_load((share_dir() / "config" / "adroit_baoding.yaml").read_text())
    document["state"][1]["type"] = "geometry_msgs/msg/PoseStamped"
    contract = parse_contract(yaml.safe_dump(document))
    sensors, reach = StuckSensorMonitor(contract), contract.action.max_rate * contract.action.period
    found = []
    for k in range(6):
        state = np.full(len(contract.task.state), 0.1 * k)  # all but one ball's position moves
        state[contract.task.state.indices([f"ball_a.position.{axis}" for axis in "xyz"])] = 0.2
        found.append(sensors.problem(state, float(k), (k % 2) * reach, 1, 3))
    assert found[-1].startswith(f"{contract.sources[1].topic}: the same values")


def test_after_a_reset_it_takes_all_the_still_periods_again() -> None:
    """The hand may have been moved meanwhile, and what it was commanded before says nothing of now."""
    sensors = StuckSensorMonitor(CONTRACT)

    def found(begin: int, count: int) -> list[bool]:
        looks = range(begin, begin + count)
        return [bool(sensors.problem(STATE, float(i), (i % 2) * REACH, 3, 0)) for i in looks]

    assert found(0, 6) == [False] * 4 + [True] * 2
    sensors.reset()
    assert found(6, 6) == [False] * 4 + [True] * 2
    sensors.reset()
    assert found(0, 6) == [False] * 4 + [True] * 2  # also where the clock begins anew


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 8))
def test_it_takes_exactly_so_many_still_periods(changes: list[bool], enough: int) -> None:
    value, still, states, expected = 0.0, -1, [STATE], [False]
    for change in changes:
        value, still = value + change, 0 if change else still + 1
        states.append(STATE + value)
        # At first one more period, since a first command has none before it that it could differ from.
        expected.append(still >= enough)
    found = [bool(text) for text in watch(states, moving(len(states)), joints=enough)]
    assert found == expected


def first_found(commands: Any, joints: int = 1, **options: Any) -> int | None:
    """The look at which joints that stand still are found frozen."""
    found = watch([STATE] * len(commands), commands, joints=joints, **options)
    return next((i for i, text in enumerate(found) if text), None)


def test_a_quarter_of_the_reach_is_a_move_and_less_is_none() -> None:
    assert first_found([i % 2 * 0.25 * REACH for i in range(20)]) == 2
    assert first_found([i % 2 * 0.249 * REACH for i in range(20)]) is None


def test_moves_add_up_unless_the_hand_may_rest_between_them() -> None:
    """A twentieth of the reach in a period is as good as standing still."""
    assert first_found([0.06 * i * REACH for i in range(20)]) == 6
    assert first_found([0.04 * i * REACH for i in range(60)]) is None
    looks = [first_found([0.06 * i * REACH for i in range(60)], joints=n) for n in (1, 2, 3)]
    assert looks == [6, 11, 16]  # each period needs its own quarter
    steps = np.cumsum([0.0, *[0.2, 0.01] * 10])
    assert first_found([step * REACH for step in steps]) is None


def test_one_joint_that_should_move_is_enough() -> None:
    for joint in range(3):
        alone = np.eye(3)[joint]
        assert first_found([i % 2 * alone * REACH for i in range(10)]) == 2
        assert first_found([-(i % 2) * alone * REACH for i in range(10)]) == 2


def test_only_measurements_that_are_new_count() -> None:
    """Newer than all before, that is."""
    creeping = [0.3 * i * REACH for i in range(6)]
    assert first_found(creeping) == 2
    for stamps, look in (([0, 1, 1, 2, 3, 4], 3), ([0, 2, 1, 1.5, 2.5, 3], 4), ([0, 2, 1, 2, 1, 2], None)):
        assert first_found(creeping, stamps=stamps) == look


TWO_SOURCES = parse_contract(
    TEXT.replace("SAFE", "hold").replace(
        "     joints: [J0, J1, J2]}\n",
        "     joints: [J0, J1]}\n"
        "  - {topic: thumb/joint_states, type: sensor_msgs/msg/JointState, fields: [position, velocity],\n"
        "     max_age_s: 0.2, joints: [J2]}\n",
    )
)


def test_each_source_answers_for_the_joints_that_it_measures() -> None:
    def found(moves: list[float], joints: int, objects: int, changes: list[int] | None = None) -> set[str]:
        sensors, seen = StuckSensorMonitor(TWO_SOURCES), set()
        for i in range(10):
            state = np.zeros(8)
            state[changes or []] = 1e-6 * i
            text = sensors.problem(state, float(i), i % 2 * np.array(moves) * REACH, joints, objects)
            seen.add(text.split(":")[0])
        return seen

    assert found([1, 1, 0], 1, 0) == {"", "joint_states"}
    assert found([0, 0, 1], 1, 0) == {"", "thumb/joint_states"}
    assert found([1, 1, 1], 1, 0, changes=[0]) == {"", "thumb/joint_states"}
    assert found([1, 1, 1], 1, 0, changes=[2]) == {"", "joint_states"}
    assert found([1, 1, 1], 0, 1, changes=[0, 2]) == found([0, 0, 1], 0, 1) == {"", "valve/joint_states"}
    assert found([1, 1, 1], 0, 0) == found([0, 0, 0], 1, 1) == {""}


@pytest.mark.parametrize("frozen", [True, False])
def test_the_controller_holds_and_goes_on(frozen: bool) -> None:
    core = make_core(safety=SafetyConfig(ramp_s=0.0))
    from mbrl_controller.control.steps import Observation

    sources = []
    for i in range(20):
        state = STATE + 1e-9 * (i if i < 5 or i >= 15 or not frozen else 4)
        sources.append(core.tick(Observation(state, 0.05 * i), GOAL, 0.05 * i).source)
    if frozen:
        assert set(sources[:5]) == {"plan"}
        assert set(sources[6:15]) == {"safe"}
    else:
        assert set(sources) == {"plan"}
    assert sources[15:] == ["plan"] * 5
    assert core.safety.state is SafetyState.RUNNING


@pytest.mark.parametrize("contract_file", ["claw_valve.yaml", "adroit_baoding.yaml"])
@pytest.mark.parametrize("grain", [0.0, 2 * np.pi / 4096, 2 * np.pi / 360])
def test_a_simulated_hand_in_motion_is_never_frozen_however_coarse_its_encoders(
    contract_file: str, grain: float
) -> None:
    """Grain: of angles in rad and of rates in rad/s."""
    pytest.importorskip("mujoco")
    from mbrl_controller.planning.random_motion import RandomMotion
    from mbrl_controller.simulation.hand_simulation import HandSimulation

    contract = load_contract(share_dir() / "config" / contract_file)
    hand, policy = HandSimulation(contract), RandomMotion(len(contract.action), seed=0)
    sensors, command, found = StuckSensorMonitor(contract), None, []
    for step in range(60):
        sensed = np.round(hand.state() / grain) * grain if grain else hand.state()
        if step == 50:
            stuck = sensed
        sensed = stuck if step >= 50 else sensed
        found.append(bool(sensors.problem(sensed, step * contract.action.period, command, 1, 0)))
        command = hand.command(contract.action.to_target(policy()))
        hand.step(command)
    assert not any(found[:51])
    assert any(found[51:54])
