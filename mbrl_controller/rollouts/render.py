# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""An episode as an animated picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeRunner, EpisodeTrajectory
from mbrl_controller.simulation.camera import Camera
from mbrl_controller.simulation.hand_simulation import HandSimulation

COLORS = 96


def run(config: RolloutConfig, file: Path, *, seed: int = 0, width: int = 400, height: int = 300) -> EpisodeTrajectory:
    """Run an episode, then replay it before a camera.

    Args:
        config: policy, model, simulated hand and goals.
        file: .gif for an animation in real time, .png for its first frame.
        seed: of the episode.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Raises:
        MbrlError: something does not exist or fit, or the file cannot be written.
    """
    if file.suffix.lower() not in (".gif", ".png"):
        raise MbrlError(f"{file}: the name must end in .gif or .png")
    resolved = resolve(config)
    trajectory = EpisodeRunner(resolved.spec).run(seed)
    simulation = HandSimulation(resolved.contract, resolved.spec.sim)
    simulation.reset(seed)
    with Camera(simulation, width, height) as camera:
        markers = [resolved.contract.task.markers(goal) for goal in trajectory.goals]
        frames = [camera.picture(markers[0])]
        played = zip(trajectory.commands, markers[1:], strict=True) if file.suffix.lower() == ".gif" else ()
        for command, points in played:
            simulation.step(command)
            frames.append(camera.picture(points))
    images = [Image.fromarray(frame).quantize(COLORS, dither=Image.Dither.NONE) for frame in frames]
    period_ms = round(1e3 * resolved.contract.action.period)
    try:
        if len(images) > 1:
            images[0].save(file, save_all=True, append_images=images[1:], duration=period_ms, loop=0, optimize=True)
        else:
            Image.fromarray(np.asarray(frames[0])).save(file)
    except OSError as error:
        raise MbrlError(f"{file}: cannot be written: {error}") from error
    return trajectory
