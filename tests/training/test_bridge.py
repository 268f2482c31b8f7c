# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The dynamics bridge a gap: by prediction from its begin, pulled to its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mbrl_controller.base.errors import EpisodeError, ModelError
from mbrl_controller.cli.main import app
from mbrl_controller.tasks.spaces import VectorSpec
from mbrl_controller.training.bridge import DynamicsBridge, find_bridge, predicted

LAYOUT = VectorSpec(("A.position", "dial.position"), ("rad", "rad"), periodic=(1,))


class Follows:
    """Two members: the joint goes half way to its command, and too far by 0 or .2; the dial turns by the joint."""

    def predict(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        members = np.broadcast_to(state, (2, *np.shape(state)[-2:])).copy()
        members[..., 0] += 0.5 * (action[:, 0] - members[..., 0]) + np.array([[0.0], [0.2]])
        members[..., 1] += members[..., 0]
        return members


def test_each_member_goes_its_own_way_and_the_end_is_the_measured_one() -> None:
    first, actions = np.array([[0.0, 3.0], [0.4, 0.0]]), np.full((2, 4, 1), 0.8)
    states = predicted(Follows(), first, actions)
    assert states.shape == (2, 5, 2)
    np.testing.assert_allclose(states[0, :3, 0], [0.0, 0.5, 0.75])
    last = np.array([[0.75, 3.0 + 1.2 - 2 * np.pi], [0.8, 2.5]])
    bridge = DynamicsBridge(Follows(), LAYOUT, 4)
    found = bridge.between(first, last, actions)
    assert found.shape == (2, 3, 2)
    missed = LAYOUT.difference(last, states[:, 4])
    np.testing.assert_allclose(found[:, 1] - states[:, 2], missed / 2)
    assert np.abs(missed[0, 1]) < np.pi


def test_what_is_missing_is_named(trained: Path, valve_episodes: Path) -> None:
    files = sorted(valve_episodes.glob("*.mcap"))
    contract, bridge = find_bridge("current", "dynamics", files, models_dir=trained)
    assert bridge.steps == 5
    state = np.zeros((3, len(contract.task.state)))
    assert bridge.between(state, state, np.zeros((3, 5, 9))).shape == (3, 4, 20)
    with pytest.raises(ModelError, match="has no model of kind between"):
        find_bridge("current", "between", files, models_dir=trained)
    with pytest.raises(EpisodeError, match="no episode files"):
        find_bridge("current", "dynamics", [], models_dir=trained)


def test_the_command_says_how_many_states_it_filled(trained: Path, valve_episodes: Path, tmp_path: Path) -> None:
    arguments = ["episodes", "export", str(valve_episodes), "--to", "csv", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--bridge", "current", "--models-dir", str(trained)])
    assert result.exit_code == 0, result.output
    assert "0 states were not measured, and filled in" in result.output  # a simulated log has no gaps
