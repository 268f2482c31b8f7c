# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Names of state entries, and the orientations among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.base.errors import ContractError
from mbrl_controller.tasks.spaces import AXES, EntryName, VectorSpec, parse_entry

CUBE = tuple(f"cube.orientation.{axis}" for axis in AXES)
QUANTITIES = [
    *((quantity, "") for quantity in ("position", "velocity", "effort", "value")),
    *((quantity, axis) for quantity in ("position", "velocity", "angular_velocity") for axis in "xyz"),
    *(("orientation", axis) for axis in AXES),
]


def vector(*names: str) -> VectorSpec:
    return VectorSpec(names, ("",) * len(names))


@given(st.text(min_size=1), st.sampled_from(QUANTITIES))
def test_a_name_is_split_into_what_it_was_made_of_whatever_dots_the_owner_has(
    owner: str, kind: tuple[str, str]
) -> None:
    quantity, component = kind
    name = ".".join(filter(None, (owner, quantity, component)))

    assert parse_entry(name) == EntryName(owner, quantity, component)


@pytest.mark.parametrize("name", ["", "a", "a.", ".position", "a.force", "a.effort.x", "a.orientation", "a.position.w"])
def test_a_name_of_another_form_is_refused_and_named(name: str) -> None:
    with pytest.raises(ContractError, match=f"{name!r}"):
        parse_entry(name)


def test_orientations_are_found_wherever_they_stand() -> None:
    pen = [name.replace("cube", "pen.1") for name in CUBE]

    assert vector("j.position", *CUBE, "cube.position.x", *pen).orientations == (1, 8)
    assert vector("j.position").orientations == ()
    assert vector("other", "names").orientations == ()


@pytest.mark.parametrize(
    "names",
    [
        CUBE[:5],
        CUBE[1:],
        (*CUBE[:3], "j.position", *CUBE[3:]),
        (*CUBE[:4], CUBE[5], CUBE[4]),
        (*CUBE[:3], *(name.replace("cube", "pen") for name in CUBE[3:])),
    ],
)
def test_a_torn_orientation_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="orientation"):
        vector(*names)
