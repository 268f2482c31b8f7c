# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Joints as drivers send them: other names, units and zeros, no names, sums, parts of a hand."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import ContractError, MessageError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.contract.source_reader import SourceReader
from mbrl_controller.contract.sources import JointSource
from mbrl_controller.episodes.ros_messages import joint_state
from mbrl_controller.episodes.source_messages import source_message

from .contract_sources import source

DEGREES = 57.29577951308232
FIELDS = ["position", "velocity", "effort"]


def test_names_signs_units_and_zeros_are_the_drivers() -> None:
    reader = SourceReader(
        source(
            "joints",
            fields=FIELDS,
            joints=["a", {"name": "b", "as": {"name": "servo_b", "sign": -1, "offset": 180.0}}],
            **{"as": {"prefix": "right_", "scale": DEGREES}},
        )
    )
    message = joint_state(["right_servo_b", "right_a"], [90.0, 45.0], 3, [DEGREES, 2 * DEGREES], [5.0, 6.0])

    assert reader.read(message).values == pytest.approx([np.pi / 4, np.pi / 2, 2, -1, 6, -5])


def test_a_driver_without_names_is_read_by_index_whatever_names_it_sends() -> None:
    reader = SourceReader(source("joints", joints=["a", "b"], by="index"))

    for names in ([], ["", ""], ["b", "a"]):
        assert reader.read(joint_state(names, [1.0, 2.0], 3)).values.tolist() == [1, 2]
    with pytest.raises(MessageError, match="position has 3 values for 2 joints"):
        reader.read(joint_state([], [1.0, 2.0, 3.0], 3))


def test_a_joint_may_be_the_sum_of_several() -> None:
    reader = SourceReader(
        source("joints", joints=["j0", {"name": "ff", "as": {"sum": ["j1", "j2"]}}], fields=["position", "velocity"])
    )
    message = joint_state(["j2", "j0", "j1"], [0.3, 1.0, 0.2], 3, [3.0, 0.0, 2.0])

    assert reader.read(message).values == pytest.approx([1.0, 0.5, 0.0, 5.0])


def test_values_beyond_the_drivers_range_are_refused_before_they_are_mapped() -> None:
    reader = SourceReader(
        source("joints", joints=["a"], raw={"lower": 0.0, "upper": 4095.0}, **{"as": {"scale": 651.9, "offset": 2048}})
    )

    assert reader.read(joint_state(["a"], [2048.0], 3)).values.tolist() == [0.0]
    with pytest.raises(MessageError, match=r"thing: raw a = 65535 is outside \[0.0, 4095.0\]"):
        reader.read(joint_state(["a"], [65535.0], 3))


def test_parts_of_a_hand_make_a_sample_when_all_were_heard_as_old_as_the_oldest() -> None:
    reader = SourceReader(source("joints", joints=["a", "b", "c"], publishers="parts"))

    assert reader.read(joint_state(["b"], [2.0], 1_000_000_000)) is None
    assert reader.lacking == ["a", "c"]
    first = reader.read(joint_state(["c", "a"], [3.0, 1.0], 1_200_000_000))
    assert (first.stamp, first.values.tolist()) == (1.0, [1, 2, 3])
    assert reader.read(joint_state(["a", "c"], [9.0, 9.0], 1_230_000_000)) is None  # b is as old as before
    second = reader.read(joint_state(["b"], [5.0], 1_300_000_000))
    assert (second.stamp, second.values.tolist()) == (1.23, [9, 5, 9])
    reader.reset()
    assert reader.read(joint_state(["b"], [2.0], 2_000_000_000)) is None


@pytest.mark.parametrize("jump", [1.0, -1.0, 100.0, -100.0])
def test_a_part_with_a_wrong_stamp_never_passes_for_new_and_counts_again_when_its_stamps_are_right(jump) -> None:
    reader = SourceReader(source("joints", joints=["a", "b"], publishers="parts", max_age_s=0.25))

    def read(name: str, at: float) -> list[float] | None:
        sample = reader.read(joint_state([name], [at], round(at * 1e9)))
        return None if sample is None else sample.values.tolist()

    assert (read("a", 200.0), read("b", 200.01)) == (None, [200.0, 200.01])
    found = [read("a", 200.1 + jump), read("b", 200.11), read("b", 200.21)]
    assert found == [None] * 3, "b alone is new"
    assert [read("a", 200.3), read("b", 200.31), read("a", 200.4)][1:] == [[200.3, 200.31], [200.4, 200.31]]


@pytest.mark.parametrize(
    ("names", "values", "complaint"),
    [
        (["a", "d"], [1.0, 2.0], "unknown joint d"),
        (["d"], [1.0], "joint a, b, c missing"),
        (["a", "a"], [1.0, 1.0], "joint a named twice"),
        (["b"], [np.nan], "non-finite position of b"),
        (["b"], [1e12], "b.position = 1e[+]12 is not a measurement"),
    ],
)
def test_a_part_that_is_wrong_is_refused_and_changes_nothing(names, values, complaint) -> None:
    reader = SourceReader(source("joints", joints=["a", "b", "c"], publishers="parts"))
    with pytest.raises(MessageError, match=complaint):
        reader.read(joint_state(names, values, 5_000_000_000))
    assert reader.read(joint_state(["a", "b", "c"], [1.0, 2.0, 3.0], 1_000_000_000)).values.tolist() == [1, 2, 3]


@given(
    st.lists(
        st.tuples(st.sampled_from([-1, 1]), st.floats(0.01, 4000.0), st.floats(-4000.0, 4000.0)), min_size=3, max_size=3
    ),
    st.sampled_from(["name", "index"]),
    st.lists(st.floats(-6.0, 6.0), min_size=9, max_size=9),
)
def test_what_a_simulated_driver_sends_is_read_as_it_was(mappings, by, values) -> None:
    joints = [
        {"name": f"j{i}", "as": {"sign": sign, "scale": scale, "offset": offset}}
        for i, (sign, scale, offset) in enumerate(mappings)
    ]
    joints[1]["as"]["sum"] = ["part_1", "part_2"]
    made = source("joints", joints=joints, fields=FIELDS, by=by, **{"as": {"prefix": "left_"}})
    sample = SourceReader(made).read(source_message(made, np.array(values), 1_234_567_891_234_567_891))

    assert sample.values == pytest.approx(values, abs=1e-9 * 4000 / 0.01)


def claw(state_as: object, **joint: object) -> str:
    document = yaml.safe_load((share_dir() / "config" / "claw_valve.yaml").read_text())
    document["format_version"] = 2
    document["state"][0]["as"] = state_as
    document["command"]["as"] = {"scale": 100.0, "prefix": "left_"}
    document["command"]["joints"][1]["as"] = {"sign": -1, "offset": 7.0}
    if joint:
        document["state"][0]["joints"][0] = joint
    return yaml.safe_dump(document)


def test_states_may_be_mapped_as_the_commands_are() -> None:
    found = parse_contract(claw("command")).sources[0]
    assert isinstance(found, JointSource)
    joints = found.joint_map

    assert joints.scale.tolist() == [100.0] * len(joints.joints)
    assert (joints.sign.tolist()[:3], joints.offset.tolist()[:3]) == ([1, -1, 1], [0, 7, 0])
    assert joints.names == tuple(f"left_{name}" for name in joints.joints)


def test_a_joints_own_mapping_comes_before_the_commands() -> None:
    first = yaml.safe_load(claw("command"))["state"][0]["joints"][0]
    found = parse_contract(claw("command", name=first, **{"as": {"scale": 3.0}})).sources[0]
    assert isinstance(found, JointSource)

    assert found.joint_map.scale.tolist()[:2] == [3.0, 100.0]
    assert found.joint_map.names[0] == f"left_{first}"


def test_a_joint_without_a_command_cannot_be_mapped_as_one() -> None:
    document = yaml.safe_load(claw({"sign": 1}))
    document["state"][1]["as"] = "command"  # the valve's
    with pytest.raises(ContractError, match=r"as: command, but valve is not among command\.joints"):
        parse_contract(yaml.safe_dump(document))
