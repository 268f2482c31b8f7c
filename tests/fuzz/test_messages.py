# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Any message in any order: what comes out as a command keeps all limits, and bytes that are no message are refused."""

from __future__ import annotations

import itertools
import math
import os
import shutil
from pathlib import Path
from types import SimpleNamespace as Fields
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.command_messages import read_command, read_plan
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.contract.source_reader import SourceReader
from mbrl_controller.control.config import ControllerConfig, SafetyConfig, SessionConfig
from mbrl_controller.control.core import ControllerCore
from mbrl_controller.control.safety import SILENT, Safety
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.control.steps import Step
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.recorder import Recorder
from mbrl_controller.planning.catalog import make_planner

from .damage import Edit, cuts, damaged, edited, edits
from .hand import JOINTS, OBJECTS, PERIOD, StillObjects
from .hand import TOPICS as SEVERAL

CONTRACT = parse_contract(OBJECTS)
TOPICS = [source.topic for source in CONTRACT.sources]

number = st.one_of(st.floats(), st.floats(-3, 3), st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0]))
near = st.floats(-0.02, 0.02)
name = st.one_of(st.sampled_from([*JOINTS, "", "J0 ", "j0", "J0\0"]), st.text(max_size=5))
frame = st.one_of(st.sampled_from(["palm", "world", "", "/palm"]), st.text(max_size=5))
# A stamp beside the clock, or any that fits into the message.
stamp = st.one_of(
    st.sampled_from([0.0, 0.0, 0.0, -0.01, 0.2, -0.2, 3.0, -3.0]).map(lambda late: (late, None)),
    st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**32 - 1)),
)
header = st.tuples(stamp, frame)
vector = st.tuples(number, number, number)
joints = st.one_of(
    st.tuples(st.permutations(JOINTS), st.lists(number, min_size=2, max_size=2)),
    st.tuples(st.lists(name, max_size=4), st.lists(number, max_size=4)),
)
joint_message = st.tuples(st.just(0), header, joints, st.just(None))
object_message = st.tuples(st.integers(1, 2), header, vector, st.tuples(vector, st.tuples(*[number] * 4), frame))
state_message = st.one_of(joint_message, object_message)
tick = st.tuples(
    st.lists(state_message, max_size=3), st.booleans(), st.tuples(near, near), st.sampled_from([0.0, 0.01, 0.7])
)


def build(wanted: Any, clock: float) -> tuple[str, Any]:
    """(topic, message) of what was drawn, around the time `clock` (s)."""
    source, (at, frame_id), values, rest = wanted
    late, nanosec = at
    when = Fields(sec=late, nanosec=nanosec)
    if nanosec is None:
        when = Fields(sec=int(clock - late), nanosec=int((clock - late) % 1 * 1e9))
    head = Fields(stamp=when, frame_id=frame_id)
    if source == 0:
        names, position = values
        return TOPICS[0], Fields(header=head, name=list(names), position=np.array(position), velocity=[], effort=[])
    velocity, turn, child = rest
    pose = Fields(position=_xyz(values), orientation=Fields(**dict(zip("xyzw", turn, strict=True))))
    if source == 2:
        return TOPICS[2], Fields(header=head, pose=pose)
    twist = Fields(linear=_xyz(velocity), angular=_xyz((0.0, 0.0, 0.0)))
    return TOPICS[1], Fields(header=head, child_frame_id=child, pose=Fields(pose=pose), twist=Fields(twist=twist))


def _xyz(values: Any) -> Any:
    return Fields(**dict(zip("xyz", values, strict=True)))


class Trial:
    """A session on a hand, and what every command that it sends must keep."""

    def __init__(self, contract: RobotContract, delay: str, safe_ramp: float) -> None:
        self.contract, self.action = contract, contract.action
        planner = make_planner("pddm", len(self.action), {"num_samples": 4, "horizon": 3})
        safety = Safety(self.action, SafetyConfig(ramp_s=safe_ramp), contract.file.command.safe)
        core = ControllerCore(contract, StillObjects(), planner, ControllerConfig(delay=delay, delay_s=0.03), safety)
        self.inputs = StateInput(contract)
        self.session = ControlSession(core, self.inputs, SessionConfig(auto_reset=True), self.check)
        self.session.enter(0.0)
        self.clock = 1000.0
        self.sent: np.ndarray | None = None

    def check(self, step: Step) -> None:
        """Every step comes by here."""
        command, reach = step.tick.command, self.action.max_rate * PERIOD + 1e-9
        if command is None:
            return
        safety = self.session.core.safety
        assert safety.state not in SILENT
        assert np.isfinite(command).all()
        assert (self.action.lower <= command).all()
        assert (command <= self.action.upper).all()
        if step.observation is not None:
            measured = step.observation.state[self.contract.task.joint_positions]
            assert (np.abs(command - measured) <= reach).all()
        if self.sent is not None:
            assert (np.abs(command - self.sent) <= safety.config.max_jump * reach).all()
        self.sent = command

    def receive(self, topic: str, message: Any) -> bool:
        """Whether the message was taken; a refusal names the topic."""
        before = self.inputs.rejected_total
        self.inputs.receive(topic, message, self.clock)
        if self.inputs.rejected_total == before:
            return True
        assert topic in self.inputs.last_rejection
        return False

    def be_well(self, offset: Any) -> None:
        """Good messages from a hand near its last command."""
        position = np.clip(self.sent if self.sent is not None else self.action.neutral, -0.9, 0.9) + offset
        for source, values in ((0, (JOINTS, position)), (1, (0.0, 0.0, 0.2)), (2, (0.01, 0.0, 0.2))):
            rest = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), "palm")
            assert self.receive(*build((source, ((0.0, None), "palm"), values, rest), self.clock))

    def tick(self, seconds: float) -> bool:
        """One control step; whether it followed a plan."""
        step = self.session.step(self.clock, self.clock, self.clock, self.session.core.solve)
        self.clock += PERIOD + seconds
        return step.tick.source == "plan"


def test_state_and_ticks(fuzz) -> None:
    counted = fuzz("messages: state and ticks")
    followed = itertools.count()

    @counted.settings(inputs_an_example=13)
    @given(
        st.lists(tick, min_size=1, max_size=12),
        st.sampled_from(["none", "given", "measured"]),
        st.sampled_from([0.0, 0.3]),
    )
    def run(ticks, delay, ramp) -> None:
        trial = Trial(CONTRACT, delay, ramp)
        for bad, well, offset, pause in ticks:
            for wanted in bad:
                topic, message = build(wanted, trial.clock)
                with counted.one():
                    with np.errstate(all="ignore"):
                        taken = trial.receive(topic, message)
                    if not taken:
                        raise MessageError(trial.inputs.last_rejection)
            with counted.one(), np.errstate(all="ignore"):
                if well:
                    trial.be_well(np.array(offset))
                if trial.tick(pause):
                    next(followed)

    run()
    assert next(followed) > 0


@pytest.mark.parametrize("far", [1e306, -1e306, 1e10])
def test_a_pose_from_nowhere_is_refused_and_the_next_is_taken(far: float) -> None:
    """Its velocity would overflow at the next pose, which would be refused for that, and so would all that follow."""
    reader = SourceReader(CONTRACT.sources[2])
    with pytest.raises(MessageError, match=r"ball_b\.position\.z"):
        reader.read(ros_messages.pose(1_000_000, "palm", np.array([0.0, 0.0, far])))
    for k in range(2, 9):
        reader.read(ros_messages.pose(k * 1_000_000, "palm", np.zeros(3)))


def test_bytes(fuzz) -> None:
    counted = fuzz("messages: bytes")
    stamp_ns = 1_000_000_000_000
    good = [
        (0, ros_messages.joint_state(JOINTS, [0.1, 0.2], stamp_ns)),
        (1, ros_messages.odometry(stamp_ns, "palm", np.zeros(3), np.zeros(3))),
        (2, ros_messages.pose(stamp_ns, "palm", np.zeros(3))),
    ]
    encoded = [(CONTRACT.sources[i], ros_messages.encode(message)) for i, message in good]

    @counted.settings()
    @given(st.integers(0, 2), cuts)
    @example(0, [])
    def run(which, changes) -> None:
        source, content = encoded[which]
        content = damaged(content, changes, encoded[0][1])
        with counted.one():
            with np.errstate(all="ignore"):
                sample = SourceReader(source).read(ros_messages.decode(content, source.type))
            assert np.isfinite(sample.values).all()
            assert len(sample.values) == len(source.entries())

    run()


def points_of(entries: int) -> st.SearchStrategy[list[Any]]:
    """Of a trajectory; often as many positions as there should be."""
    good = st.lists(st.floats(-0.05, 0.05), min_size=entries, max_size=entries)
    position = st.one_of(good, good, st.lists(number, min_size=entries, max_size=entries), st.lists(number, max_size=6))
    after = st.one_of(
        st.tuples(st.integers(0, 9), st.just(0)),
        st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**32 - 1)),
    )
    point = st.builds(
        lambda values, time: Fields(positions=values, time_from_start=Fields(sec=time[0], nanosec=time[1])),
        position,
        after,
    )
    return st.lists(point, max_size=3)


def names_of(good: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """The right ones in any order, or any."""
    return st.one_of(st.permutations(good), st.permutations(good), st.lists(name, max_size=5))


def test_goals_and_commands(fuzz) -> None:
    """What a person asks of the controller, and what the controller asks of the hand."""
    pytest.importorskip("rclpy")
    from mbrl_controller.nodes.messages import read_goal

    counted = fuzz("messages: goals, commands")

    @counted.settings(inputs_an_example=2)
    @given(names_of(CONTRACT.task.goal.names), points_of(4), names_of(JOINTS), points_of(2))
    def run(names, waypoints, joint_names, points) -> None:
        with counted.one():
            goal = read_goal(CONTRACT.task, Fields(joint_names=list(names), points=waypoints))
            asked = goal.at(np.array([-1.0, 0.0, 1e9]))
            assert np.isfinite(asked).all()
            CONTRACT.task.check_goal(asked)
        with counted.one():
            message = Fields(joint_names=list(joint_names), points=points)
            command = read_command(CONTRACT, "hand/joint_trajectory", message)
            assert np.isfinite(command).all()
            assert command.shape == (len(JOINTS),)

    run()


def test_commands_of_several_topics(fuzz) -> None:
    """What anybody sends to the hand's drivers: the sim obeys it, and logs are read from it."""
    contract = parse_contract(SEVERAL)
    counted = fuzz("messages: hand commands")
    names = [name for to in contract.destinations for name in to.map.names]
    known = st.lists(st.one_of(st.sampled_from(names), name), max_size=3)

    @counted.settings(inputs_an_example=2)
    @given(st.sampled_from(contract.destinations[:2]), known, st.lists(number, max_size=3), points_of(1))
    @example(contract.destinations[0], ["left_A", "left_b"], [10.0, 0.0], [])
    def run(to, given_names, values, points) -> None:
        told = Fields(name=given_names, position=values, joint_names=["left_D"], points=points)
        for topic in (to.topic, "wrist"):
            with counted.one():
                times, targets = read_plan(contract, topic, told)
                at = contract.destination(topic).at
                assert targets.shape == (len(times), len(contract.action))
                assert not np.isinf(targets).any()
                assert np.isfinite(targets[:, at]).any(axis=1).all()
                assert np.isnan(np.delete(targets, at, axis=1)).all()

    run()


EVENT = {
    "event": "begin", "episode": 0, "session": "s", "task": "baoding", "robot": "small", "epoch": 1, "stamp": 1000.0,
    "reason": "reset", "model_version": "v0001",
}  # fmt: skip
topic = st.sampled_from(["joint_states", "command", "episode", "goal"])


def record(folder: Path, offered: list[tuple[str, bytes]]) -> str:
    """Log what is offered, then a good episode; what the recorder says is wrong at the end of that."""
    names = {role: f"/{role}" for role in (*TOPICS, "command", "episode", "goal", "tick")}
    recorder = Recorder(CONTRACT, folder, names, after_s=0.0, flush_s=60.0)
    kinds = {"joint_states": ros_types.JOINT_STATE, "episode": ros_types.STRING, "goal": ros_types.TRAJECTORY}
    command = ros_messages.encode(ros_messages.joint_state(JOINTS, [0.0, 0.1], 1_000_000_000_000))
    recorder.start()
    for role, data in [
        *offered,
        ("episode", ros_messages.encode(ros_messages.json_string(EVENT | {"session": "last"}))),
        ("command", command),
        ("episode", ros_messages.encode(ros_messages.json_string(EVENT | {"event": "end"}))),
    ]:
        recorder.offer(names[role], kinds.get(role, ros_types.JOINT_STATE), data, 1)
    recorder.stop()
    assert list((folder / "last").glob("*.mcap")), "the good episode at the end was not kept"
    return recorder.status.problem


def test_events(fuzz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder keeps the next episode whatever it was sent before, and writes nowhere but in its folder."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    counted, folders = fuzz("messages: logged"), itertools.count()
    command = ros_messages.encode(ros_messages.joint_state(JOINTS, [0.0, 0.1], 1_000_000_000_000))

    @counted.settings()
    @given(
        st.lists(
            st.tuples(topic, st.sampled_from(["begin", "end"]), edits, cuts, st.booleans()), min_size=1, max_size=4
        )
    )
    @example([("episode", "end", [Edit((0.7,), "replace", "\ud800")], [], False)])
    def run(offered) -> None:
        folder = tmp_path / "log" / str(next(folders))
        sent = []
        for role, kind, changes, byte_changes, damage in offered:
            data = command
            if role == "episode":
                data = ros_messages.encode(ros_messages.json_string(edited(EVENT | {"event": kind}, changes)))
            sent.append((role, damaged(data, byte_changes) if damage else data))
        with counted.one():
            record(folder, sent)
            written = {path for path in tmp_path.rglob("*") if path.is_file()}
            assert all(path.is_relative_to(folder) for path in written), written
        shutil.rmtree(folder)

    run()


@pytest.mark.parametrize("key", ["reason", "model_version", "session"])
@pytest.mark.parametrize("value", ["\ud800", "\0", "../../up", 10**400, 1e300, [[]], "x" * 100_000])
def test_odd_events(tmp_path: Path, key: str, value: Any) -> None:
    odd = [EVENT | {key: value}, EVENT | {"event": "end", key: value}]
    begin, end = (ros_messages.encode(ros_messages.json_string(event)) for event in odd)
    command = ros_messages.encode(ros_messages.joint_state(JOINTS, [0.0, 0.1], 1_000_000_000_000))
    assert not record(tmp_path, [("episode", begin), ("command", command), ("episode", end)])
