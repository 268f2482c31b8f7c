# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Read logged episodes into NumPy arrays. ROS is not needed.

python examples/read_log.py ~/.mbrl/episodes/baoding    # an episode file, or a folder of them
python examples/read_log.py                             # records a simulated episode first (extra `sim`)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.rollouts import collect
from mbrl_controller.rollouts.config import RolloutConfig
from mbrl_controller.training.dataset import episode_files


def read(path: Path) -> None:
    """Print what the episodes at `path` hold."""
    files = episode_files([path])
    if not files:
        sys.exit(f"{path}: no episodes in it")
    parts = []
    for file in files:
        episode = read_episode(file)  # its contract is in the file
        rows = transitions(episode)  # commands paired with the states before and after them, by their stamps
        print(f"{file.name}: {len(rows)} transitions, left out: {dict(rows.skipped)}")
        parts.append(rows)
    states = np.concatenate([rows.state for rows in parts])  # [T, S], SI units
    actions = np.concatenate([rows.action for rows in parts])  # [T, A] joint targets, rad
    next_states = np.concatenate([rows.next_state for rows in parts])  # [T, S], one control period later
    print(f"states {states.shape}, actions {actions.shape}, next states {next_states.shape}")
    print("entries of a state:", ", ".join(episode.contract.task.state.names[:4]), "...")
    print("largest change in one step:", np.abs(next_states - states).max(axis=0).round(3)[:4].tolist(), "...")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            config = RolloutConfig("valve", policy="random")
            read(collect.run(config, episodes=1, episodes_dir=Path(folder), processes=1).folder)
