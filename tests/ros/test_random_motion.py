# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The controller without a model: it moves a hand at random, with everything else as ever."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from .conftest import SMALL_HAND

pytestmark = pytest.mark.ros

CONTROLLER = "mbrl_controller.nodes.controller"
RANGE = 0.5
NEUTRAL, REACH = np.array([0.0, 0.1, 0.2]), 0.9 * np.array([1.0, 1.1, 1.2])  # the farther limit, times the stroke


def rows(messages: list[Float64MultiArray]) -> list[dict[str, float]]:
    return [dict(zip((d.label for d in m.layout.dim), m.data, strict=True)) for m in messages]


def test_random_motion_needs_no_model_and_keeps_every_rule(ros: Any, tmp_path: Path) -> None:
    (tmp_path / "contract.yaml").write_text(SMALL_HAND)
    ros.start_script(Path(__file__).with_name("driver_double.py"))
    commands = ros.collect("hand/commands", Float64MultiArray)
    ticks = ros.collect("controller/tick", Float64MultiArray)
    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    episodes = ros.collect("controller/episode", String, latched)
    reports = ros.diagnostics("controller: control")
    ros.start(
        CONTROLLER,
        {
            "contract": str(tmp_path / "contract.yaml"),
            "models_dir": str(tmp_path / "none"),
            "autostart": True,
            "planner.name": "random",
            "planner.exploration_range": RANGE,
            "episode_s": 0.5,
            "auto_reset": True,
        },
    )

    def ends() -> list[dict[str, Any]]:
        return [e for e in (json.loads(m.data) for m in episodes) if e["event"] == "end"]

    def moved() -> Any:
        """How far each joint was sent; a topic is discovered when it is, whatever another one has said by then."""
        return np.ptp([m.data for m in commands], axis=0) if commands else np.zeros(3)

    ros.wait(lambda: len(ends()) >= 2, "two episodes by time-out")
    assert {e["reason"] for e in ends()} == {"timeout"}
    assert {e["model_version"] for e in ends()} == {""}

    ros.wait(lambda: moved().min() > 0.01 and len(ticks) >= 5, "each joint to move")
    sent = np.array([m.data for m in commands])
    assert (np.abs(sent - NEUTRAL) <= RANGE * REACH + 1e-9).all()
    planned = [row for row in rows(ticks) if row["source"] == 3]
    assert planned
    assert all(math.isnan(row["predicted_return"]) and math.isnan(row["disagreement"]) for row in planned)
    assert all(row["evaluated"] == row["iterations"] == 0 for row in planned)
    assert all(math.isfinite(row["reward"]) for row in planned)
    ros.wait(lambda: any(r[2].get("model version") == "none" for r in reports), "a report")

    answer = ros.call("controller/load_model", Trigger)
    assert not answer.success
    assert "planner random needs no model" in answer.message

    assert ros.set_parameters("controller", planner__exploration_range=0.0).successful
    ros.wait(lambda: np.allclose(commands[-1].data, NEUTRAL, atol=1e-9), "the way to the neutral pose")
    refused = ros.set_parameters("controller", exploration_noise=0.1)
    assert not refused.successful
    assert "random" in refused.reason

    assert ros.call("controller/e_stop", Trigger).success
    ros.wait(lambda: reports[-1][2]["safety state"] == "stopped", "the stop")
