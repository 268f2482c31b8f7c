# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Pytest finds the tests on any machine: what is not installed makes files skip, and ends no run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# Asked for by name, so that their conftest.py files are loaded first, as they are in `pytest tests/ros`.
FOLDERS = [str(path) for path in sorted(HERE.iterdir()) if path.is_dir() and path.name != "__pycache__"]
ABSENT = {
    "what trains and tests models": ("torch", "onnx", "tensorboard", "matplotlib", "mcap_ros2"),
    "the simulator": ("mujoco", "gymnasium_robotics", "PIL", "mjviser", "viser"),
    "ROS": ("rclpy", "launch", "launch_ros"),
}


@pytest.mark.slow
@pytest.mark.parametrize("absent", ABSENT.values(), ids=ABSENT)
def test_collection_fails_nowhere_without(absent: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "absent.py").write_text(f"import sys; sys.modules.update(dict.fromkeys({absent}))\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "absent", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(HERE / "test_package.py"), *FOLDERS],
        env={**os.environ, "PYTHONPATH": path},
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    # Most of the suite is left: nothing here is at the root of all the rest.
    found = re.search(r"^(\d+) tests collected", done.stdout, re.MULTILINE)
    assert found, done.stdout[-4000:]
    assert int(found[1]) > 600
