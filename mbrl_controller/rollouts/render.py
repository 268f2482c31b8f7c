# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An episode in lockstep as an animated picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.rollouts.config import Who, prepare
from mbrl_controller.rollouts.episode import EpisodeRecord
from mbrl_controller.rollouts.pool import EpisodeRunner
from mbrl_controller.simulation.camera import Camera
from mbrl_controller.simulation.hand import HandSimulation

COLORS = 96


def run(task: str, file: Path, *, seed: int = 0, width: int = 400, height: int = 300, **who: Any) -> EpisodeRecord:
    """Run the episode of `seed`, then play it again before a camera; writes a GIF in real time, or its first frame if
    `file` ends in .png. `who`: fields of plans.Who. Raises MbrlError."""
    if file.suffix.lower() not in (".gif", ".png"):
        raise MbrlError(f"{file}: the name must end in .gif or .png")
    prepared = prepare(Who(task, **who))
    record = EpisodeRunner(prepared.plan).run(seed)
    simulation = HandSimulation(prepared.contract, prepared.plan.sim)
    simulation.reset(seed)
    with Camera(simulation, width, height) as camera:
        markers = [prepared.contract.task.markers(goal) for goal in record.goals]
        frames = [camera.picture(markers[0])]
        played = zip(record.commands, markers[1:], strict=True) if file.suffix.lower() == ".gif" else ()
        for command, points in played:
            simulation.step(command)
            frames.append(camera.picture(points))
    images = [Image.fromarray(frame).quantize(COLORS, dither=Image.Dither.NONE) for frame in frames]
    period_ms = round(1e3 * prepared.contract.action.period)
    try:
        if len(images) > 1:
            images[0].save(file, save_all=True, append_images=images[1:], duration=period_ms, loop=0, optimize=True)
        else:
            Image.fromarray(np.asarray(frames[0])).save(file)
    except OSError as error:
        raise MbrlError(f"{file}: cannot be written: {error}") from error
    return record
