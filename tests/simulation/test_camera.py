# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Pictures; skipped where this machine has no way to render."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.rollouts import render as film
from mbrl_controller.rollouts.config import RolloutConfig

Image = pytest.importorskip("PIL.Image")
CODE = """
import sys
from pathlib import Path
from mbrl_controller.rollouts import render as film
from mbrl_controller.rollouts.config import RolloutConfig
config = RolloutConfig("baoding", policy="random", seconds=0.5)
record = film.run(config, Path(sys.argv[1]), seed=2, width=160, height=120)
print(len(record.commands))
"""


def test_an_episode_becomes_an_animation(tmp_path: Path) -> None:
    """In a process of its own: the graphics backend is chosen when mujoco is imported."""
    file = tmp_path / "film.gif"
    environment = {**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
    done = subprocess.run([sys.executable, "-c", CODE, file], env=environment, capture_output=True, text=True)
    if any(text in done.stderr for text in ("cannot render", "mujoco/egl", "OpenGL")):
        pytest.skip("no graphics backend on this machine")
    assert done.returncode == 0, done.stderr
    with Image.open(file) as picture:
        assert picture.n_frames == int(done.stdout.split()[-1]) + 1
        frames = []
        for i in range(picture.n_frames):
            picture.seek(i)
            frames.append(np.asarray(picture.convert("RGB")))
    assert frames[0].std() > 10  # something is to be seen
    assert not np.array_equal(frames[0], frames[-1])  # and it moves


MARKED = """
import numpy as np
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.simulation.camera import Camera
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.tasks.markers import Marker
from mbrl_controller.tasks.orientation import IDENTITY
hand = HandSimulation(contract_for("baoding"))
hand.reset(0)
box = Marker(np.array([0.0, 0.0, 0.25]), IDENTITY, "box", (0.05, 0.05, 0.05))
arrow = Marker(np.array([0.0, 0.0, 0.25]), IDENTITY, "arrow", (0.1,))
with Camera(hand, 80, 60) as camera:
    plain = camera.picture().astype(int)
    for marker in (box, arrow):
        print(int((abs(camera.picture([marker]) - plain).sum(-1) > 30).sum()))
"""


def test_boxes_and_arrows_are_seen() -> None:
    environment = {**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
    done = subprocess.run([sys.executable, "-c", MARKED], env=environment, capture_output=True, text=True)
    if any(text in done.stderr for text in ("cannot render", "mujoco/egl", "OpenGL")):
        pytest.skip("no graphics backend on this machine")
    assert done.returncode == 0, done.stderr
    assert all(int(pixels) > 10 for pixels in done.stdout.split())


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MbrlError, match=r"\.gif"):
        film.run(RolloutConfig("valve", policy="hold", seconds=0.2), tmp_path / "film.mp4")


def test_baoding_marks_both_targets_above_the_palm() -> None:
    task = contract_for("baoding").task
    points = task.markers(np.array([0.01, 0.02, -0.01, -0.02]))
    assert points[:, :2].tolist() == [[0.01, 0.02], [-0.01, -0.02]]
    assert (points[:, 2] > 0.2).all()
    assert len(contract_for("valve").task.markers(np.array([1.0]))) == 0
