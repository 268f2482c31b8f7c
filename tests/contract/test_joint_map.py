# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A driver's names, signs, units and zeros."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mbrl_controller.base.errors import ContractError
from mbrl_controller.contract.joint_map import DriverJoint, joint_map

angles = st.floats(-10, 10)
drivers = st.builds(
    DriverJoint,
    sign=st.sampled_from([-1, 1]),
    scale=st.floats(0.01, 1000.0),
    offset=st.floats(-1000.0, 1000.0),
)


@given(st.lists(st.tuples(drivers, angles, angles), min_size=1, max_size=5))
def test_there_and_back_is_the_same_angle_and_order_is_kept(joints) -> None:
    made = joint_map([(f"J{i}", given) for i, (given, _, _) in enumerate(joints)], None, "here")
    one, two = (np.array([joint[i] for joint in joints]) for i in (1, 2))
    there, there_too = made.to_driver(one), made.to_driver(two)
    np.testing.assert_allclose(made.to_angles(there), one, atol=1e-9 * (1 + np.abs(made.offset) / made.scale).max())
    np.testing.assert_allclose(made.to_rates(made.to_driver_rates(one)), one, rtol=1e-12, atol=1e-300)
    assert (made.sign * (there_too - there) * np.sign(two - one) >= 0).all()
    np.testing.assert_array_equal(made.efforts(made.efforts(one)), one)


@given(st.lists(st.floats(), min_size=3, max_size=3))
def test_a_joint_that_is_not_mapped_keeps_its_bits(values) -> None:
    made = joint_map([("A", None), ("B", DriverJoint(name="b")), ("C", None)], DriverJoint(prefix="left_"), "here")
    assert made.names == ("left_A", "left_b", "left_C")
    row = np.array(values)
    assert made.to_driver(row).tobytes() == made.to_angles(row).tobytes() == row.tobytes()


def test_a_joints_own_keys_come_before_those_of_all() -> None:
    shared = DriverJoint(prefix="right_", scale=2.0, offset=3.0)
    own = [
        ("A", None),
        ("B", DriverJoint(name="b", scale=5.0)),
        ("C", DriverJoint(sum=("c1", "c2"), sign=-1, offset=0.0)),
    ]
    made = joint_map(own, shared, "here")
    assert made.drivers == (("right_A",), ("right_b",), ("right_c1", "right_c2"))
    assert made.names == ("right_A", "right_b", "right_c1", "right_c2")
    np.testing.assert_array_equal(made.to_driver(np.ones(3)), [5.0, 8.0, -2.0])
    last = made.only(("C",))
    assert (last.joints, last.drivers) == (("C",), (("right_c1", "right_c2"),))
    np.testing.assert_array_equal(last.to_driver(np.ones(1)), [-2.0])


def test_what_is_wrong_is_refused() -> None:
    with pytest.raises(ContractError, match=r"^state\.0: two joints are called X by the driver"):
        joint_map([("A", DriverJoint(name="X")), ("X", None)], None, "state.0")
    with pytest.raises(ValidationError, match="either name or sum"):
        DriverJoint(name="a", sum=("b", "c"))
    for wrong in ({"sign": 0}, {"scale": 0.0}, {"scale": -1.0}, {"offset": float("nan")}, {"sum": ["a"]}, {"gain": 1}):
        with pytest.raises(ValidationError):
            DriverJoint.model_validate(wrong)
