# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The launch files, where ROS's launch is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("launch_ros")

from launch.launch_description_sources import get_launch_description_from_python_launch_file


@pytest.mark.parametrize("file", ["sim.launch.py", "robot.launch.py"])
def test_they_include_those_of_mbrl_controller(file: str) -> None:
    path = Path(__file__).resolve().parent.parent / "launch" / file
    described = get_launch_description_from_python_launch_file(str(path))
    assert len(described.entities) == 2
