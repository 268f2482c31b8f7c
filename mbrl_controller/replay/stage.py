# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The 3D part of the replay: hand, objects, goal, a plan, and the way that the objects then took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.replay.facts import joints_at_limits
from mbrl_controller.replay.outlook import Outlook
from mbrl_controller.replay.recording import Recording
from mbrl_controller.simulation.hand_scene import HandScene
from mbrl_controller.simulation.object_paths import ObjectPaths

HAPPENED = (30, 30, 30)  # colour of the objects' way


class Stage:
    """One scene, for one contract after another."""

    def __init__(self, server: Any, contract: RobotContract, model_file: Path | None = None) -> None:
        """Raises MbrlError where the model's file is wrong, or mjviser is not installed."""
        self._server, self._model_file = server, model_file
        self._make(contract)

    def use(self, contract: RobotContract) -> None:
        """Show episodes of this contract from now on."""
        if contract.digest != self._contract.digest:
            self._server.scene.reset()
            self._make(contract)

    def _make(self, contract: RobotContract) -> None:
        self._contract = contract
        self._scene = HandScene(self._server, contract, self._model_file)
        self._way = ObjectPaths(self._server, contract, self._scene.picture, "/happened", [HAPPENED])

    def show(self, recording: Recording, time: float, outlook: Outlook | None, step: int) -> None:
        """Draw a time (s), and a plan or none with its ghost at `step`."""
        scene = self._scene
        scene.show_state(recording.state_at(time))
        scene.show_goal(recording.goal_at(time))
        scene.show_limits(joints_at_limits(recording, recording.commands_at(np.array([time]))[0]))
        if outlook is None:
            scene.show_plan(None)
        else:
            scene.show_plan(outlook.targets, outlook.predicted, step)
        self._way.show(None if outlook is None else outlook.happened[None])
