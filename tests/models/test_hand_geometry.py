# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A geometry comes out of files that others may have written: what does not fit together is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from mbrl_controller.base.errors import ModelError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.hand_geometry import MAX_PARTS, Ball, Frame, HandGeometry, Hinge, Shape
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
