# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Objects with an orientation: q and -q, a whole turn, whatever frame, and how fast they move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract.frames import Pose, StaticFrames
from mbrl_controller.contract.object_reader import rotation_between
from mbrl_controller.contract.source_reader import SourceReader
from mbrl_controller.contract.sources import ObjectSource
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.tasks import orientation
from mbrl_controller.tasks.spaces import Array

from .contract_sources import ALL_FIELDS, source

MS = 1_000_000  # ns
vectors = arrays(float, 3, elements=st.floats(-2.0, 2.0))
quaternions = arrays(float, 4, elements=st.floats(-1.0, 1.0)).filter(lambda q: np.linalg.norm(q) > 0.1)
kinds = st.sampled_from(["odometry", "pose", "tf"])


def unit(quaternion: Array) -> Array:
    return quaternion / np.linalg.norm(quaternion)


def message(kind: str, stamp: int, frame: str, position: Array, quaternion: Array, **twist: Any) -> Any:
    """`quaternion`: x, y, z, w."""
    x, y, z, w = quaternion.tolist()
    if kind == "odometry":
        return ros_messages.odometry(stamp, frame, position, twist.pop("velocity", np.zeros(3)), (w, x, y, z), **twist)
    if kind == "tf":
        return ros_messages.transforms(stamp, frame, "cube_link", position, (w, x, y, z))
    return ros_messages.pose(stamp, frame, position, (w, x, y, z))


def static(child: str, parent: str, translation: Array, quaternion: Array) -> Any:
    x, y, z, w = unit(quaternion).tolist()
    return ros_messages.transforms(0, parent, child, translation, (w, x, y, z))


@settings(max_examples=40)
@given(kinds, quaternions, vectors)
def test_a_quaternion_and_its_negative_are_one_state(kind: str, quaternion: Array, position: Array) -> None:
    made = source(kind, fields=["position", "orientation"])
    one, other = (
        SourceReader(made).read(message(kind, MS, "palm", position, sign * unit(quaternion))) for sign in (1, -1)
    )

    assert one.values == pytest.approx(other.values, abs=1e-12)
    assert one.values[3:] == pytest.approx(orientation.quaternion_to_axes(quaternion), abs=1e-9)


@given(quaternions, vectors, st.one_of(st.floats(-np.pi, np.pi), st.floats(-1e-7, 1e-7)))
def test_the_rotation_between_two_messages_is_that_of_the_arrays_functions(start, axis, angle: float) -> None:
    assume(np.linalg.norm(axis) > 0.1)
    before = orientation.quaternion_to_axes(start)
    after = orientation.compose(orientation.about(axis, np.asarray(angle)), before)

    expected = orientation.rotation_vector(before, after)
    found = rotation_between(before, after)
    half_turn = np.linalg.norm(expected) > np.pi - 1e-6  # either axis will do
    assert (
        np.abs(found) == pytest.approx(np.abs(expected), abs=1e-9)
        if half_turn
        else found == pytest.approx(expected, abs=1e-9)
    )


@settings(max_examples=10)
@given(vectors, quaternions, st.sampled_from([-1, 1]))
def test_a_whole_turn_has_no_jump_and_a_constant_angular_velocity(axis: Array, start: Array, sign: int) -> None:
    """Also where the tracker changes the quaternion's sign on the way."""
    assume(np.linalg.norm(axis) > 0.1)
    made = source("pose", fields=["orientation", "angular_velocity"], velocity_filter={"time_constant_s": 0.0})
    reader, begin = SourceReader(made), orientation.quaternion_to_axes(start)
    rows = []
    for k in range(73):
        axes = orientation.compose(orientation.about(axis, np.radians(5.0 * k)), begin)
        quaternion = orientation.axes_to_quaternion(axes) * (sign if k % 3 else 1)
        rows.append(reader.read(message("pose", (1 + k) * 10 * MS, "palm", np.zeros(3), quaternion)).values)

    assert np.abs(np.diff([row[:6] for row in rows], axis=0)).max() < 1.1 * np.radians(5.0)
    assert rows[0][:6] == pytest.approx(rows[-1][:6], abs=1e-6)
    assert np.array([row[6:] for row in rows[1:]]) == pytest.approx(
        np.tile(np.radians(5.0) / 0.01 * axis / np.linalg.norm(axis), (72, 1)), abs=1e-6
    )


@settings(max_examples=40)
@given(kinds, vectors, quaternions, vectors, quaternions, vectors, vectors)
def test_the_frame_of_the_messages_does_not_matter(kind, position, turn, shift, rotation, velocity, spin) -> None:
    """Given, looked up, or none because the messages are in the contract's frame: one state."""
    camera = Pose.of(shift, unit(rotation))  # in the palm
    back = camera.inverse()
    fields = ALL_FIELDS if kind == "odometry" else ["position", "orientation"]
    axes = orientation.quaternion_to_axes(turn)
    plain = message(
        kind, MS, "palm", position, orientation.axes_to_quaternion(axes), velocity=velocity, angular=spin.tolist()
    )
    seen = message(
        kind,
        MS,
        "camera",
        back.point(position),
        orientation.axes_to_quaternion(back.axes(axes)),
        velocity=back.vector(velocity),
        angular=back.vector(spin).tolist(),
    )
    given_pose = {"translation": shift.tolist(), "rotation": unit(rotation).tolist()}
    frames = StaticFrames()
    frames.take(static("camera", "palm", shift, rotation))

    expected = SourceReader(source(kind, fields=fields)).read(plain).values
    for transform in (given_pose, given_pose | {"frame_id": "camera"}, "tf"):
        reader = SourceReader(source(kind, fields=fields, transform=transform), frames)
        assert reader.read(seen).values == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(vectors, quaternions), min_size=1, max_size=4), st.integers(0, 4), vectors)
def test_a_chain_of_static_transforms_leads_up_and_down(steps, up: int, point: Array) -> None:
    """From `0` down to the last frame; the two asked for may lie on either side of their common parent."""
    frames, poses = StaticFrames(), [Pose(np.eye(3), np.zeros(3))]
    for i, (translation, quaternion) in enumerate(steps):
        frames.take(static(str(i + 1), str(i), translation, quaternion))
        poses.append(poses[-1].after(Pose.of(translation, unit(quaternion))))
    frames.take(static("side", "0", np.ones(3), np.array([0.0, 0.0, 1.0, 0.0])))
    below = min(up, len(steps))
    found, back = frames.pose(str(below), "side"), frames.pose("side", str(below))
    assert found is not None
    assert back is not None

    expected = Pose.of(np.ones(3), np.array([0.0, 0.0, 1.0, 0.0])).inverse().after(poses[below])
    assert found.point(point) == pytest.approx(expected.point(point), abs=1e-9)
    assert back.point(found.point(point)) == pytest.approx(point, abs=1e-9)


def test_before_the_transform_is_known_the_message_is_refused_and_says_which_is_missing() -> None:
    frames = StaticFrames()
    reader = SourceReader(source("pose", fields=["position"], transform="tf"), frames)
    seen = message("pose", MS, "camera", np.zeros(3), np.array([0, 0, 0, 1.0]))

    with pytest.raises(MessageError, match="thing: no transform from frame 'camera' to 'palm' on /tf_static yet"):
        reader.read(seen)
    frames.take(static("camera", "world", np.ones(3), np.array([0, 0, 0, 1.0])))
    with pytest.raises(MessageError, match="no transform"):
        reader.read(seen)
    frames.take(static("palm", "world", np.zeros(3), np.array([0, 0, 0, 1.0])))
    assert reader.read(seen).values.tolist() == [1, 1, 1]
    frames.take(static("camera", "world", np.full(3, 2.0), np.array([0, 0, 0, 1.0])))  # the newest counts
    assert reader.read(seen).values.tolist() == [2, 2, 2]


def test_a_frame_that_moved_is_no_motion() -> None:
    fields = ["position", "orientation", "velocity", "angular_velocity"]
    frames, still = StaticFrames(), np.array([0, 0, 0, 1.0])
    reader = SourceReader(source("pose", fields=fields, transform="tf"), frames)
    turned = np.array([0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)])

    def read(k: int) -> Array:
        sample = reader.read(message("pose", (1 + k) * 10 * MS, "camera", np.array([0.01 * k, 0, 0]), still))
        assert sample is not None
        return sample.values[9:]

    frames.take(static("camera", "palm", np.ones(3), still))
    moving = [read(k) for k in range(20)][-1]
    assert moving[0] > 0.5
    frames.take(static("camera", "palm", np.ones(3), still))  # told again: the same
    assert read(20)[0] > 0.5
    frames.take(static("camera", "palm", np.full(3, 5.0), turned))
    assert read(21).tolist() == [0.0] * 6
    after = read(22)
    assert 0 < after[1] < 1.1
    assert after[[0, 2, 3, 4, 5]] == pytest.approx(0, abs=1e-9)


def test_frames_in_a_ring_and_transforms_that_are_none_do_no_harm() -> None:
    frames, still = StaticFrames(), np.array([0, 0, 0, 1.0])
    frames.take(static("a", "b", np.zeros(3), still))
    frames.take(static("b", "a", np.zeros(3), still))
    assert frames.pose("a", "c") is None
    for bad in (
        static("d", "d", np.zeros(3), still),
        static("d", "c", np.full(3, np.nan), still),
        ros_messages.transforms(0, "c", "d", np.zeros(3), (0.5, 0.0, 0.0, 0.0)),
    ):
        with pytest.raises(MessageError, match="/tf_static: not a static transform: 'd' in"):
            frames.take(bad)
    assert frames.pose("d", "c") is None


def test_a_given_transform_is_of_the_frame_it_names() -> None:
    reader = SourceReader(source("pose", fields=["position"], transform={"frame_id": "camera"}))
    with pytest.raises(MessageError, match="frame_id is 'other', the contract's transform is of 'camera'"):
        reader.read(message("pose", MS, "other", np.zeros(3), np.array([0, 0, 0, 1.0])))


@given(vectors, quaternions, vectors, vectors)
def test_a_twist_in_the_objects_own_frame_is_turned(position, turn, velocity, spin) -> None:
    axes = orientation.quaternion_to_axes(turn)
    matrix = orientation.axes_to_matrix(axes)
    own = message(
        "odometry", MS, "palm", position, unit(turn), velocity=velocity, angular=spin.tolist(), child_frame="cube"
    )

    values = SourceReader(source("odometry", fields=ALL_FIELDS)).read(own).values
    assert values[3:6] == pytest.approx(matrix @ velocity, abs=1e-9)
    assert values[12:] == pytest.approx(matrix @ spin, abs=1e-9)


@pytest.mark.parametrize("kind", ["odometry", "pose", "tf"])
@pytest.mark.parametrize("quaternion", [np.zeros(4), np.full(4, np.nan), np.array([0, 0, 0, 1.1])])
def test_an_orientation_that_is_none_is_refused_where_it_is_used(kind: str, quaternion: Array) -> None:
    sent = message(kind, MS, "palm", np.ones(3), quaternion)
    with pytest.raises(MessageError, match="thing: the orientation of cube is not a unit quaternion"):
        SourceReader(source(kind, fields=["position", "orientation"])).read(sent)
    assert SourceReader(source(kind, fields=["position"])).read(sent).values.tolist() == [1, 1, 1]


def test_other_frames_on_tf_are_somebody_elses() -> None:
    reader = SourceReader(source("tf", fields=["position"]))
    other = ros_messages.transforms(MS, "map", "base_link", np.ones(3))
    assert reader.read(other) is None
    both = ros_messages.transforms(MS, "palm", "cube_link", np.zeros(3))
    both.transforms = [*other.transforms, *both.transforms]
    assert reader.read(both).values.tolist() == [0, 0, 0]
    with pytest.raises(MessageError, match="frame_id is 'map'"):
        reader.read(ros_messages.transforms(MS, "map", "cube_link", np.zeros(3)))


def test_after_a_gap_a_velocity_starts_anew() -> None:
    reader = SourceReader(source("pose", fields=["position", "velocity"]), gap_s=0.2)
    still = np.array([0, 0, 0, 1.0])

    def at(seconds: float, x: float) -> float:
        sent = message("pose", round(seconds * 1e9), "palm", np.array([x, 0.0, 0.0]), still)
        return float(reader.read(sent).values[3])

    assert at(1.0, 0.0) == 0
    assert at(1.2, 0.1) > 0.4  # still within
    assert at(1.41, 5.0) == 0
    assert at(1.42, 5.01) > 0.2


@settings(max_examples=40)
@given(kinds, st.permutations(ALL_FIELDS), st.booleans(), vectors, quaternions, vectors, vectors, vectors, quaternions)
def test_what_is_sent_as_measured_is_read_as_measured(
    kind, fields, moved, position, turn, velocity, spin, shift, rotation
) -> None:
    """All but the velocities that a reader derives: these it makes of the next messages."""
    transform = {"translation": shift.tolist(), "rotation": unit(rotation).tolist()} if moved else None
    made = source(kind, fields=fields, **({"transform": transform} if moved else {}))
    assert isinstance(made, ObjectSource)
    parts = {
        "position": position,
        "velocity": velocity,
        "orientation": orientation.quaternion_to_axes(turn),
        "angular_velocity": spin,
    }
    values = np.concatenate([parts[field] for field in fields])
    reader = SourceReader(made)
    sample = reader.read(source_message(made, values, 1_700_000_000_000_000_001))

    assert sample.values[reader.carried] == pytest.approx(values[reader.carried], abs=1e-9)
    assert np.delete(sample.values, reader.carried).tolist() == [0] * (15 - len(reader.carried))
