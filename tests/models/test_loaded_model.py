# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a controller is told of the model it plans with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.models.loading import LoadedModel
from mbrl_controller.planning.catalog import PLANNERS, make_planner


def ensemble(version: str = "", scale: tuple[float, ...] = (), limit: float | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        spec=SimpleNamespace(version=version, delta_scale=scale, disagreement_limit=limit),
        path=Path("/models/m.onnx"),
        rollout=lambda state, actions: ("rolled out", state, actions),
    )


def test_a_model_goes_by_its_given_version_its_own_or_its_path() -> None:
    assert LoadedModel(ensemble("v0002"), "v0007").version == "v0007"
    assert LoadedModel(ensemble("v0002")).version == "v0002"
    assert LoadedModel(ensemble()).version == "/models/m.onnx"


def test_without_a_scale_disagreement_is_not_defined() -> None:
    assert LoadedModel(ensemble()).delta_scale is None
    assert LoadedModel(ensemble()).disagreement_limit is None
    served = LoadedModel(ensemble(scale=(0.5, 2.0), limit=0.7))
    assert served.delta_scale.tolist() == [0.5, 2.0]
    assert served.disagreement_limit == 0.7


def test_rollouts_are_the_ensembles() -> None:
    state, actions = np.zeros(2), np.zeros((1, 1, 1))
    assert LoadedModel(ensemble()).rollout(state, actions) == ("rolled out", state, actions)


@pytest.mark.parametrize("name", sorted(PLANNERS))
def test_a_planner_is_made_by_its_name_with_its_options(name: str) -> None:
    made = make_planner(name, 4, {"horizon": 5})
    assert (made.name, made.action_size, made.config.horizon) == (name, 4, 5)
    assert make_planner(name, 4).config == type(made).config_type()


def test_an_option_that_is_refused_names_the_planner() -> None:
    with pytest.raises(MbrlError, match=r"planner cem: .*sigma"):
        make_planner("cem", 3, {"sigma": -1.0})
    with pytest.raises(MbrlError, match="planner icem: joint_scale has 1 entries"):
        make_planner("icem", 3, {"joint_scale": (1.0,)})
