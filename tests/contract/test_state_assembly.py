# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A live message and its logged copy give the same vector, and nothing that cannot be a state gets through."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import MessageError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.contract.source_reader import SourceReader
from mbrl_controller.contract.state_assembly import StateAssembler, join_samples, split_state
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.source_messages import source_message


def feed(assembler, state, stamp=1_000_000_000):
    for source, values in zip(assembler.contract.sources, split_state(assembler.contract, state), strict=True):
        assembler.update(source.topic, source_message(source, values, stamp))


def test_splitting_and_joining_are_inverse(contract):
    states = np.random.default_rng(0).standard_normal((5, len(contract.task.state)))
    parts = split_state(contract, states)
    assert [part.shape[-1] for part in parts] == [len(source.entries()) for source in contract.sources]
    assert np.array_equal(join_samples(contract, parts), states)


def test_a_message_and_its_logged_copy_give_the_same_vector_to_the_bit(contract, made_up):
    states, _, _ = made_up(contract, 20)
    live, logged = StateAssembler(contract), StateAssembler(contract)
    for k, state in enumerate(states):
        stamp = 1_700_000_000_123_456_789 + k * 100_000_000
        for source, values in zip(contract.sources, split_state(contract, state), strict=True):
            message = source_message(source, values, stamp)
            a = live.update(source.topic, message)
            b = logged.update(source.topic, ros_messages.decode(ros_messages.encode(message), source.type))
            assert a.stamp == b.stamp
        assert live.vector()[0].tobytes() == logged.vector()[0].tobytes() == state.tobytes()


def test_joints_are_found_by_name(claw, made_up):
    state = made_up(claw, 1)[0][0]
    straight, mixed = StateAssembler(claw), StateAssembler(claw)
    feed(straight, state)
    feed(mixed, state)
    source = claw.sources[0]
    order = np.random.default_rng(1).permutation(len(source.joints))
    values = split_state(claw, state)[0].reshape(2, -1)[:, order]
    names = [source.joints[i] for i in order]
    mixed.update(source.topic, ros_messages.joint_state(names, values[0], 2_000_000_000, values[1]))
    assert np.array_equal(mixed.vector()[0], straight.vector()[0])


def test_an_arms_joints_in_the_message_are_refused_with_what_allows_them(claw):
    reader = SourceReader(claw.sources[1])
    with pytest.raises(MessageError, match=r"unknown joint shoulder, elbow; .*ignore_unknown: true"):
        reader.read(ros_messages.joint_state(["shoulder", "valve", "elbow"], [0.0] * 3, 1, [0.0] * 3))
    with pytest.raises(MessageError, match="and 22 more"):
        reader.read(ros_messages.joint_state(["valve", *map("J{}".format, range(30))], [0.0] * 31, 1, [0.0] * 31))
    text = claw.text.replace("joints: [valve]", "joints: [valve]\n    ignore_unknown: true")
    allowed = SourceReader(parse_contract(text).sources[1])
    names = ["shoulder", "valve", "elbow"]
    assert allowed.read(ros_messages.joint_state(names, [1.0, 2.0, 3.0], 1, [4.0, 5.0, 6.0])).values.tolist() == [
        2.0,
        5.0,
    ]


@pytest.mark.parametrize("name", ["adroit_baoding.yaml", "claw_valve.yaml"])
def test_shipped_contracts_say_how_other_joints_are_allowed(name):
    """Its comment is what a person uncomments."""
    text = (share_dir() / "config" / name).read_text()
    (line,) = [line for line in text.splitlines() if "ignore_unknown" in line]
    assert "#" in line.partition("ignore_unknown")[2]
    parse_contract(text.replace(line, line.replace("# ", "", 1)))


@pytest.mark.parametrize(
    ("names", "position", "velocity", "complaint"),
    [
        (["valve", "valve"], [0.0, 0.0], [0.0, 0.0], "joint valve named twice"),
        (["wheel"], [0.0], [0.0], "joint valve missing; unknown joint wheel"),
        (["valve", "wheel"], [0.0, 0.0], [0.0, 0.0], "unknown joint wheel"),
        ([], [], [], "joint valve missing"),
        (["valve"], [0.0], [], "velocity has 0 values for 1 joint names"),
        (["valve"], [0.0, 1.0], [0.0], "position has 2 values"),
        (["valve"], [float("nan")], [0.0], "non-finite value for valve.position"),
        (["valve"], [0.0], [float("inf")], "non-finite value for valve.velocity"),
        (["valve"], [0.0], [1e6], "valve.velocity = 1e+06 is outside"),
    ],
)
def test_what_cannot_be_a_state_is_refused_by_name(claw, names, position, velocity, complaint):
    reader = SourceReader(claw.sources[1])
    with pytest.raises(MessageError) as caught:
        reader.read(ros_messages.joint_state(names, position, 1, velocity))
    assert "valve/joint_states: " in str(caught.value)
    assert complaint in str(caught.value)


def test_other_joints_are_ignored_where_the_contract_says_so():
    document = yaml.safe_load((share_dir() / "config" / "claw_valve.yaml").read_text())
    document["state"][1]["ignore_unknown"] = True
    contract = parse_contract(yaml.safe_dump(document))
    sample = SourceReader(contract.sources[1]).read(ros_messages.joint_state(["x", "valve"], [9.0, 1.0], 1, [9.0, 2.0]))
    assert sample.values.tolist() == [1.0, 2.0]


def test_an_older_message_is_not_kept(claw, made_up):
    assembler = StateAssembler(claw)
    new, old = made_up(claw, 1)[0]
    feed(assembler, new, 2_000_000_000)
    feed(assembler, old, 1_000_000_000)
    state, stamp = assembler.vector()
    assert np.array_equal(state, new)
    assert stamp == 2.0


def test_of_messages_of_the_same_stamp_the_first_counts_as_in_a_log(claw, made_up):
    assembler = StateAssembler(claw)
    first, second = made_up(claw, 1)[0]
    feed(assembler, first, 2_000_000_000)
    feed(assembler, second, 2_000_000_000)
    assert np.array_equal(assembler.vector()[0], first)


def test_the_state_is_as_old_as_the_oldest_sample_in_it(claw, made_up):
    state = made_up(claw, 1)[0][0]
    parts = split_state(claw, state)
    for stamps in ((3_250_000_001, 2_500_000_000), (2_500_000_000, 3_250_000_001)):
        assembler = StateAssembler(claw)
        for source, values, stamp in zip(claw.sources, parts, stamps, strict=True):
            sample = assembler.update(source.topic, source_message(source, values, stamp))
            assert sample.stamp == pytest.approx(stamp / 1e9, abs=1e-12)
        vector, stamp = assembler.vector()
        assert np.array_equal(vector, state)
        assert stamp == 2.5


def test_joints_may_change_their_places_from_message_to_message(claw):
    source = claw.sources[0]
    n = len(source.joints)
    reader, rng = SourceReader(source), np.random.default_rng(0)
    for _ in range(4):
        order = rng.permutation(n)
        names = [source.joints[i] for i in order]
        for _ in range(2):
            values = rng.uniform(-0.1, 0.1, (2, n))
            sample = reader.read(ros_messages.joint_state(names, values[0][order], 1, values[1][order]))
            assert np.array_equal(sample.values, values.ravel())


def with_range(lower: float, upper: float):
    document = yaml.safe_load((share_dir() / "config" / "claw_valve.yaml").read_text())
    document["state"][1]["valid"] = {"velocity": {"lower": lower, "upper": upper}}
    return SourceReader(parse_contract(yaml.safe_dump(document)).sources[1])


@pytest.mark.parametrize(("velocity", "refused"), [(-2.0, False), (3.0, False), (-2.001, True), (3.001, True)])
def test_a_range_holds_for_its_quantity_its_ends_included(velocity, refused):
    reader = with_range(-2.0, 3.0)
    message = ros_messages.joint_state(["valve"], [50.0], 1, [velocity])
    if not refused:
        assert reader.read(message).values.tolist() == [50.0, velocity]
        return
    with pytest.raises(MessageError, match=rf"valve\.velocity = {velocity} is outside \[-2\.0, 3\.0\]"):
        reader.read(message)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_nothing_measures_is_refused_whatever_the_contract_allows(sign):
    reader = with_range(-1e12, 1e12)
    reader.read(ros_messages.joint_state(["valve"], [0.0], 1, [sign * 1e9]))
    with pytest.raises(MessageError, match=r"valve\.velocity = -?1\.1e\+09 is not a measurement"):
        reader.read(ros_messages.joint_state(["valve"], [0.0], 1, [sign * 1.1e9]))


def test_a_missing_source_is_named(claw, made_up):
    assembler = StateAssembler(claw)
    with pytest.raises(MessageError, match="no message yet on joint_states, valve/joint_states"):
        assembler.vector()
    feed(assembler, made_up(claw, 1)[0][0])
    assembler.reset()
    assert assembler.missing == ["joint_states", "valve/joint_states"]


def baoding(kind: str, **options: object):
    """The shipped contract with its balls from messages of another kind."""
    document = yaml.safe_load((share_dir() / "config" / "adroit_baoding.yaml").read_text())
    for source in document["state"][1:]:
        source.update(type=kind, **options)
    return parse_contract(yaml.safe_dump(document))


def test_a_twist_in_the_child_frame_is_rotated():
    source = baoding(ros_types.ODOMETRY).sources[1]
    quarter = (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))  # a quarter turn about z: the child's x is the frame's y
    message = ros_messages.odometry(1, "world", np.zeros(3), np.array([1.0, 0.0, 0.0]), quarter, child_frame="ball_a")
    assert SourceReader(source).read(message).values[3:] == pytest.approx([0, 1, 0])
    broken = ros_messages.odometry(1, "world", np.zeros(3), np.ones(3), (0.0, 0.0, 0.0, 0.0), child_frame="ball_a")
    with pytest.raises(MessageError, match="unit quaternion"):
        SourceReader(source).read(broken)


@pytest.mark.parametrize(
    ("axis", "along", "becomes"),
    [(0, 1, 2), (0, 2, -1), (1, 2, 0), (1, 0, -2), (2, 0, 1), (2, 1, -0.0), (0, 0, 0)],
)
def test_a_quarter_turn_about_each_axis_rotates_a_twist(axis, along, becomes):
    source = baoding(ros_types.ODOMETRY).sources[1]
    quaternion = [np.sqrt(0.5), 0.0, 0.0, 0.0]
    quaternion[1 + axis] = np.sqrt(0.5)
    speed = np.zeros(3)
    speed[along] = 2.0
    position = np.array([0.01, 0.02, 0.2])
    message = ros_messages.odometry(1, "world", position, speed, tuple(quaternion), child_frame="ball_a")
    expected = np.zeros(3)
    expected[int(abs(becomes))] = np.copysign(2.0, becomes)
    assert SourceReader(source).read(message).values == pytest.approx([*position, *expected])


@pytest.mark.parametrize(("length", "refused"), [(0.991, False), (1.009, False), (0.98, True), (1.02, True)])
def test_an_orientation_is_nearly_of_length_one_where_it_is_needed(length, refused):
    source = baoding(ros_types.ODOMETRY).sources[1]
    quaternion = (0.0, length, 0.0, 0.0)
    own = ros_messages.odometry(1, "world", np.zeros(3), np.ones(3), quaternion)
    assert SourceReader(source).read(own).values.tolist() == [0, 0, 0, 1, 1, 1]  # it says nothing about the twist
    message = ros_messages.odometry(1, "world", np.zeros(3), np.ones(3), quaternion, child_frame="ball_a")
    if refused:
        with pytest.raises(MessageError, match="unit quaternion"):
            SourceReader(source).read(message)
    else:
        assert SourceReader(source).read(message).values[3:] == pytest.approx([1, -1, -1], abs=0.05)


def test_a_message_in_another_frame_is_refused():
    for kind, message in (
        (ros_types.ODOMETRY, ros_messages.odometry(1, "camera", np.zeros(3), np.zeros(3))),
        (ros_types.POSE, ros_messages.pose(1, "camera", np.zeros(3))),
    ):
        with pytest.raises(MessageError, match="frame_id is 'camera', the contract says 'world'"):
            SourceReader(baoding(kind).sources[1]).read(message)


def test_a_velocity_is_estimated_from_poses():
    reader = SourceReader(baoding(ros_types.POSE).sources[1])
    for k in range(100):
        sample = reader.read(ros_messages.pose(k * 10_000_000, "world", np.array([0.2 * k * 0.01, 0.0, 0.0])))
    assert sample.values[3:] == pytest.approx([0.2, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("steps", [(0.01, 0.01), (0.03, 0.03), (0.01, 0.05)])  # s
@pytest.mark.parametrize("time_constant", [0.0, 0.03, 0.5])
def test_the_velocity_answers_a_step_as_a_low_pass_of_its_time_constant(time_constant, steps):
    reader = SourceReader(baoding(ros_types.POSE, velocity_filter={"time_constant_s": time_constant}).sources[1])
    assert reader.read(ros_messages.pose(1_000_000_000, "world", np.zeros(3))).values.tolist() == [0.0] * 6
    speed, time, position, velocity = np.array([0.2, -0.1, 0.0]), 1.0, np.zeros(3), np.zeros(3)
    for step in steps:
        time, position = time + step, position + speed * step
        velocity = velocity + step / (step + time_constant) * (speed - velocity)
        sample = reader.read(ros_messages.pose(ros_messages.to_ns(time), "world", position))
        assert sample.values == pytest.approx(np.concatenate([position, velocity]), rel=1e-6)


def test_a_pose_told_twice_moves_nothing():
    reader = SourceReader(baoding(ros_types.POSE).sources[1])
    for k in range(3):
        message = ros_messages.pose((k + 1) * 10_000_000, "world", np.array([0.01 * k, 0.0, 0.0]))
        assert reader.read(message).values.tolist() == reader.read(message).values.tolist()


def test_what_was_never_heard_of_can_be_forgotten(claw):
    StateAssembler(claw).forget("joint_states")


def test_a_new_episode_begins_with_no_velocity():
    assembler = StateAssembler(baoding(ros_types.POSE))
    topic = assembler.contract.sources[1].topic
    for forget in (assembler.reset, lambda: assembler.forget(topic)):
        for k in range(5):
            moving = assembler.update(topic, ros_messages.pose((k + 1) * 10_000_000, "world", np.full(3, 0.01 * k)))
        assert moving.values[3] > 0.1
        forget()
        assert topic in assembler.missing
        first = assembler.update(topic, ros_messages.pose(1, "world", np.zeros(3)))
        assert first.values.tolist() == [0.0] * 6


@given(st.lists(st.tuples(st.integers(0, 98), st.sampled_from(["late", "nan", "far"])), max_size=10))
def test_poses_that_are_late_or_refused_do_not_move_the_velocity(spoilt):
    source = baoding(ros_types.POSE).sources[1]
    clean, disturbed = SourceReader(source), SourceReader(source)
    rng = np.random.default_rng(0)
    for k in range(100):
        message = ros_messages.pose((k + 1) * 10_000_000, "world", rng.uniform(-0.01, 0.01, 3))
        expected, got = clean.read(message), disturbed.read(message)
        assert expected.values.tobytes() == got.values.tobytes()
        for at, how in spoilt:
            if at != k:
                continue
            if how == "late":
                disturbed.read(ros_messages.pose(k * 10_000_000, "world", np.ones(3)))
            else:
                bad = np.full(3, np.nan if how == "nan" else 1e3)
                with pytest.raises(MessageError):
                    disturbed.read(ros_messages.pose((k + 2) * 10_000_000, "world", bad))


MESSAGES = {
    ros_types.JOINT_STATE: ros_messages.joint_state(["a", "b"], [1.0, 2.0], 3, [4.0, 5.0]),
    ros_types.ODOMETRY: ros_messages.odometry(3, "world", np.ones(3), np.zeros(3)),
    ros_types.POSE: ros_messages.pose(3, "world", np.ones(3)),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_cut_message_is_refused_wherever_it_was_cut(kind):
    data = ros_messages.encode(MESSAGES[kind])
    assert ros_messages.encode(ros_messages.decode(data, kind)) == data
    for length in range(len(data)):
        with pytest.raises(MessageError, match=f"{length} bytes are not a valid {kind}"):
            ros_messages.decode(data[:length], kind)


@pytest.mark.parametrize("kind", MESSAGES)
@given(data=st.binary(max_size=300))
def test_bytes_that_are_no_message_are_refused(kind, data):
    """Whatever comes through is a message of this kind: its own bytes, and no others, are made of it."""
    try:
        message = ros_messages.decode(data, kind)
    except MessageError:
        return
    assert message.__msgtype__ == kind
    again = ros_messages.encode(message)
    assert ros_messages.encode(ros_messages.decode(again, kind)) == again
