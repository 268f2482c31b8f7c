# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the constructors put where, and which times fit into a stamp."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mbrl_controller.episodes import ros_messages

STAMP = 1_700_000_000_123_456_789


def sent(message):
    """As it comes out at the other end."""
    return ros_messages.decode(ros_messages.encode(message), message.__msgtype__)


def test_a_joint_state_has_its_names_and_three_quantities():
    message = sent(ros_messages.joint_state(["a", "b"], [1, 2], STAMP, velocity=[3, 4], effort=[5, 6]))
    assert message.name == ["a", "b"]
    assert [v.tolist() for v in (message.position, message.velocity, message.effort)] == [[1, 2], [3, 4], [5, 6]]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    assert ros_messages.stamp_ns(message) == STAMP
    assert message.header.frame_id == ""


def test_an_odometry_has_its_pose_and_its_twist_each_in_its_frame():
    message = sent(
        ros_messages.odometry(
            STAMP, "world", np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), (0.5, 0.1, 0.2, 0.3), (7, 8, 9)
        )
    )
    pose, twist = message.pose.pose, message.twist.twist
    assert (message.header.frame_id, message.child_frame_id) == ("world", "world")
    assert (pose.position.x, pose.position.y, pose.position.z) == (1, 2, 3)
    q = pose.orientation
    assert (q.w, q.x, q.y, q.z) == (0.5, 0.1, 0.2, 0.3)
    assert (twist.linear.x, twist.linear.y, twist.linear.z) == (4, 5, 6)
    assert (twist.angular.x, twist.angular.y, twist.angular.z) == (7, 8, 9)
    assert not message.pose.covariance.any()
    assert not message.twist.covariance.any()
    assert ros_messages.stamp_ns(message) == STAMP
    plain = sent(ros_messages.odometry(1, "world", np.zeros(3), np.zeros(3), child_frame="ball"))
    assert plain.child_frame_id == "ball"
    q, spin = plain.pose.pose.orientation, plain.twist.twist.angular
    assert (q.w, q.x, q.y, q.z, spin.x, spin.y, spin.z) == (1, 0, 0, 0, 0, 0, 0)


def test_a_pose_lies_in_its_frame():
    message = sent(ros_messages.pose(STAMP, "palm", np.array([1.0, 2, 3]), (0.5, 0.1, 0.2, 0.3)))
    assert (message.header.frame_id, ros_messages.stamp_ns(message)) == ("palm", STAMP)
    p, q = message.pose.position, message.pose.orientation
    assert (p.x, p.y, p.z, q.w, q.x, q.y, q.z) == (1, 2, 3, 0.5, 0.1, 0.2, 0.3)
    q = sent(ros_messages.pose(1, "palm", np.zeros(3))).pose.orientation
    assert (q.w, q.x, q.y, q.z) == (1, 0, 0, 0)


def test_an_array_has_a_label_an_entry():
    message = sent(ros_messages.multi_array([1.5, 2.5], ["lateness_s", "plan_s"]))
    assert message.data.tolist() == [1.5, 2.5]
    assert [(d.label, d.size, d.stride) for d in message.layout.dim] == [("lateness_s", 1, 1), ("plan_s", 1, 1)]
    assert message.layout.data_offset == 0
    assert sent(ros_messages.multi_array([1.0])).layout.dim == []


def test_a_trajectory_has_a_point_a_row_each_at_its_time():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    message = sent(ros_messages.trajectory(["a", "b"], rows, [0.0, 0.25, 2.5], STAMP))
    assert (message.joint_names, ros_messages.stamp_ns(message)) == (["a", "b"], STAMP)
    assert [p.positions.tolist() for p in message.points] == rows.tolist()
    times = [(p.time_from_start.sec, p.time_from_start.nanosec) for p in message.points]
    assert times == [(0, 0), (0, 250_000_000), (2, 500_000_000)]
    for point in message.points:
        assert not len(point.velocities) + len(point.accelerations) + len(point.effort)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        ros_messages.trajectory(["a", "b"], rows, [0.0, 0.25], STAMP)


def test_texts_and_clocks():
    assert sent(ros_messages.string("ü")).data == "ü"
    assert json.loads(sent(ros_messages.json_string({"event": "begin", "stamp": 1.5})).data) == {
        "event": "begin",
        "stamp": 1.5,
    }
    clock = sent(ros_messages.clock(STAMP)).clock
    assert (clock.sec, clock.nanosec) == (1_700_000_000, 123_456_789)


@pytest.mark.parametrize(
    ("value", "fits"),
    [(0, True), (1.5, True), (-3.0, True), (9.2e9, True), (-9.2e9, True), (9.3e9, False), (-9.3e9, False),
     (float("nan"), False), (float("inf"), False), (True, False), ("1", False), (None, False)],
)  # fmt: skip
def test_a_time_fits_into_64_bits_of_nanoseconds_or_is_none(value, fits):
    assert ros_messages.is_stamp(value) == fits
    if fits:
        assert abs(ros_messages.to_ns(value)) < 2**63


def test_nanoseconds_are_rounded_and_not_cut():
    assert ros_messages.to_ns(0.1 + 0.2) == 300_000_000
    assert ros_messages.to_ns(1.9999999999) == 2_000_000_000
    assert ros_messages.to_ns(-0.05) == -50_000_000
