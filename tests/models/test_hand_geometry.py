# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A geometry comes out of files that others may have written: what does not fit together is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from mbrl_controller.base.errors import ModelError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.hand_geometry import MAX_PARTS, MAX_PLANES, Ball, Frame, HandGeometry, Hinge, Shape, Solid
from mbrl_controller.models.spec import ModelSpec

HERE = Frame.of(np.eye(3), np.zeros(3))
BALL = (Ball(name="ball", radius=0.01),)


def hinge(parent: int = -1) -> Hinge:
    return Hinge(joint="A", parent=parent, frame=HERE)


def shape(**values) -> Shape:
    return Shape(**{"hinge": 0, "frame": HERE, "half": (0.0, 0.0, 0.01), "radius": 0.01, **values})


def test_a_hinge_comes_after_its_parent() -> None:
    with pytest.raises(ValidationError, match="parent"):
        HandGeometry(hinges=(hinge(0),), shapes=(shape(),), balls=BALL)


def test_a_shape_needs_its_hinge() -> None:
    with pytest.raises(ValidationError, match="hinge"):
        HandGeometry(hinges=(hinge(),), shapes=(shape(hinge=1),), balls=BALL)


@pytest.mark.parametrize("values", [{"radius": np.nan}, {"radius": -1.0}, {"half": (0, np.inf, 0)}, {"radius": 1e9}])
def test_lengths_are_lengths(values) -> None:
    with pytest.raises(ValidationError):
        shape(**values)


def test_a_model_that_lacks_what_its_geometry_needs_is_refused_by_name() -> None:
    contract = contract_for("baoding")
    geometry = HandGeometry(hinges=(hinge(),), shapes=(shape(),), balls=BALL)
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, 3, (8,))
    with pytest.raises(ModelError, match=r"A\.position, ball\.position\.x"):
        ModelSpec.parse(spec.model_copy(update={"geometry": geometry}).model_dump_json(), "a file")


def test_sizes_are_bounded() -> None:
    with pytest.raises(ValidationError):
        HandGeometry(hinges=(hinge(),), shapes=(shape(),) * (MAX_PARTS + 1), balls=BALL)


def solid(**values) -> Solid:
    return Solid(**{"name": "cube", "kind": "box", "frame": HERE, "half": (0.03, 0.03, 0.03), **values})


@pytest.mark.parametrize(
    "values",
    [{"kind": "hull"}, {"planes": ((0, 0, 1, 0.1),)}, {"kind": "cylinder", "radius": 0.01},
     {"kind": "ellipsoid", "half": (0.01, 0, 0.01)}, {"planes": ((0, 0, np.nan, 0.1),), "kind": "hull"},
     {"planes": ((0, 0, 1, 0.1),) * (MAX_PLANES + 1), "kind": "hull"}],
)  # fmt: skip
def test_a_solid_has_what_its_kind_needs(values) -> None:
    with pytest.raises(ValidationError):
        solid(**values)


def test_there_is_something_to_touch() -> None:
    with pytest.raises(ValidationError, match="no objects"):
        HandGeometry(hinges=(hinge(),), shapes=(shape(),))


def test_a_solid_needs_the_objects_orientation_in_the_state() -> None:
    geometry = HandGeometry(hinges=(hinge(),), shapes=(shape(),), solids=(solid(), solid()))
    assert len(geometry.state_names) == 1 + 3 + 6
    contract = contract_for("baoding")
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, 3, (8,))
    with pytest.raises(ModelError, match=r"cube\.orientation\.x_axis\.x"):
        ModelSpec.parse(spec.model_copy(update={"geometry": geometry}).model_dump_json(), "a file")


def test_without_solids_the_text_is_as_before() -> None:
    text = HandGeometry(hinges=(hinge(),), shapes=(shape(),), balls=BALL).model_dump_json()
    assert "solids" not in text
    assert HandGeometry.model_validate_json(text).solids == ()


def test_a_torn_orientation_is_refused_by_name() -> None:
    contract = contract_for("baoding")
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, 3, (8,))
    torn = spec.model_copy(update={"state_names": ("cube.orientation.x_axis.x", *spec.state_names[1:])})
    with pytest.raises(ModelError, match=r"cube\.orientation\.x_axis\.x"):
        ModelSpec.parse(torn.model_dump_json(), "a file")
