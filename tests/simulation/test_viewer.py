# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import builtins
import socket
import urllib.request

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.simulation.marker_shapes import MarkerShapes
from mbrl_controller.simulation.viewer import Viewer
from mbrl_controller.tasks.markers import Marker
from mbrl_controller.tasks.orientation import IDENTITY


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_viewer_serves_on_loopback_and_leaves_the_simulation_alone(hand):
    pytest.importorskip("mjviser")
    before = hand.snapshot()
    viewer = Viewer(hand, free_port(), rate=1.0)
    try:
        with urllib.request.urlopen(viewer.url, timeout=10) as answer:
            assert answer.status == 200
        assert viewer.update(hand, np.array([[0.0, 0.0, 0.2]]))
        assert not viewer.update(hand)  # the rate is limited
    finally:
        viewer.close()
    after = hand.snapshot()
    np.testing.assert_array_equal(before.qpos, after.qpos)
    np.testing.assert_array_equal(before.warmstart, after.warmstart)


def test_markers_follow_the_goal_and_change_their_shape(hand):
    pytest.importorskip("mjviser")
    viewer = Viewer(hand, free_port(), rate=np.inf)
    try:
        for markers in (
            [Marker(np.zeros(3)), Marker(np.ones(3), IDENTITY, "box", (0.1, 0.1, 0.1))],
            [Marker(np.ones(3), IDENTITY, "arrow", (0.1,))],
            np.array([[0.0, 0.0, 0.2]]),
        ):
            assert viewer.update(hand, markers)
            shapes = MarkerShapes(hand)(markers)
            assert [tuple(handle.position) for handle in viewer._scene._goal.handles] == [
                tuple(s.position) for s in shapes
            ]
        assert viewer.update(hand)
        assert viewer._scene._goal.handles == []
    finally:
        viewer.close()


def test_without_mjviser_the_error_names_it(hand, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == "mjviser":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MbrlError, match="mjviser"):
        Viewer(hand, free_port())
