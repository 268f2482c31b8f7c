# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Draws a contract's hand, objects, goals and plans into a viser scene; for the sim's viewer, the panel and the replay.

    scene = HandScene(server, contract)
    with server.atomic():
        scene.show_state(state)            # [S], as measured
        scene.show_goal(goal)              # [G]
        scene.show_plan(targets, states)   # [H, A] joint targets; [E, H, S] what each ensemble member predicts
        scene.show_limits(["FFJ3"])        # joints whose limits bind, in red

Each `show_...` takes None, or nothing, to remove what it drew. It knows vectors in the contract's layout and nothing of
where they come from. One thread may call it at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.body_shells import BodyShells
from mbrl_controller.simulation.hand_picture import HandPicture, find_picture
from mbrl_controller.simulation.marker_handles import MarkerHandles
from mbrl_controller.simulation.marker_shapes import Shape, shapes_of
from mbrl_controller.simulation.object_paths import BALL, ObjectPaths
from mbrl_controller.simulation.scene_file import Camera
from mbrl_controller.simulation.state_pose import object_entries
from mbrl_controller.tasks.markers import Marker, Markers
from mbrl_controller.tasks.orientation import IDENTITY
from mbrl_controller.tasks.spaces import Array

GHOST = ((110, 160, 255), 0.3, 1.0)  # colour, opacity, scale
LIMIT = ((230, 40, 40), 0.55, 1.06)
NEARER = 0.7  # than a picture is taken from: a browser shows more beside its scene
FALLBACK_CAMERA = Camera(position=(0.5, -0.5, 0.5), look_at=(0.0, 0.0, 0.1))


class HandScene:
    """What is drawn of one hand. Handles are moved, never made anew for each state."""

    def __init__(
        self, server: Any, contract: RobotContract, model_file: Path | None = None, picture: HandPicture | None = None
    ) -> None:
        """
        Args:
            server: viser's.
            contract: whose states, goals and commands are shown.
            model_file: the hand's MJCF or URDF; None: see `find_picture`.
            picture: a model found already, instead.

        Raises:
            MbrlError: mjviser is not installed, or a model's file is wrong.
        """
        try:
            from mjviser import ViserMujocoScene
        except ImportError as error:
            raise MbrlError(f"the viewer needs the Python package mjviser: {how_to_install('viewer')}") from error
        self._server, self._task, self._action = server, contract.task, contract.action
        self.picture = picture or find_picture(contract, model_file)
        self._goal, self._objects = MarkerHandles(server), MarkerHandles(server, "/objects")
        self._own = object_entries(contract.task.state.names)
        self._paths = ObjectPaths(server, contract, self.picture)
        self._qpos: Array = np.zeros(0)  # [nq] of the newest state, where there is a model
        if self.picture is not None:
            model = self.picture.model
            self._data, self._ghost_data = mujoco.MjData(model), mujoco.MjData(model)
            self._view = ViserMujocoScene(server, model, num_envs=1)
            self._view.camera_tracking_enabled = False  # else the view follows a moving finger
            self._ghost = BodyShells(server, "/ghost", model, *GHOST)
            self._limits = BodyShells(server, "/limits", model, *LIMIT)
            self.show_qpos(self.picture.pose.qpos(np.full(len(contract.task.state), np.nan)))
        camera = self.camera

        @server.on_client_connect  # type: ignore[untyped-decorator]
        def _(client: Any) -> None:
            position, look_at = np.array(camera.position), np.array(camera.look_at)
            client.camera.position = look_at + NEARER * (position - look_at)
            client.camera.look_at = look_at

    @property
    def camera(self) -> Camera:
        """Where a browser looks from at first."""
        return (self.picture.camera if self.picture is not None else None) or FALLBACK_CAMERA

    def show_state(self, state: Array) -> None:
        """Draw the hand and the objects at a state [S]; entries that are not finite stay as at an episode's start."""
        if self.picture is not None:
            self.show_qpos(self.picture.pose.qpos(state))
        known = self.picture.pose.objects if self.picture is not None else {}
        missing = {name: entries for name, entries in self._own.items() if name not in known}
        markers = []
        for entries in missing.values():
            axes = IDENTITY if entries.orientation is None else state[entries.orientation]
            if np.isfinite(position := state[entries.position]).all() and np.isfinite(axes).all():
                markers.append(Marker(position, None if entries.orientation is None else axes, size=(BALL,)))
        self._objects.show(self._shapes(markers))

    def show_qpos(self, qpos: Array) -> None:
        """Draw the model in a pose [nq]; only where there is a model."""
        if self.picture is None:
            raise MbrlError("there is no model of this hand to pose")
        self._qpos = np.array(qpos)
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self.picture.model, self._data)
        self._view.update_from_mjdata(self._data)

    def show_goal(self, goal: Array | None) -> None:
        """Draw the markers of a goal [G]; a goal that the task cannot draw shows none."""
        try:
            markers = None if goal is None else self._task.markers(self._task.check_goal_shape(goal))
        except Exception:  # whatever a task raises: a picture must not end who shows it
            markers = None
        self.show_markers(markers)

    def show_markers(self, markers: Markers | None) -> None:
        """Draw markers that are given in the contract's frame."""
        self._goal.show(self._shapes(markers))

    def show_plan(self, targets: Array | None, states: Array | None = None, step: int = -1) -> None:
        """Draw a plan: the hand where it will be asked to be, and the ways of the objects.

        Args:
            targets: joint targets [H, A] (rad) in the contract's order; None: no ghost.
            states: predicted [E, H, S], one row of states for each ensemble member; None: no paths.
            step: of the plan at which the ghost is drawn.
        """
        if self.picture is not None:
            if targets is None or not len(targets):
                self._ghost.show((), self._ghost_data)
            else:
                home = (
                    self.picture.pose.qpos(np.full(len(self._task.state), np.nan)) if self._qpos is None else self._qpos
                )
                self._ghost_data.qpos[:] = self.picture.pose.with_joints(home, np.asarray(targets)[step])
                mujoco.mj_kinematics(self.picture.model, self._ghost_data)
                self._ghost.show(self.picture.hand_bodies, self._ghost_data)
        self._paths.show(states)

    def show_limits(self, joints: Iterable[str] = ()) -> None:
        """Draw in red what these joints move: their commands are cut by a limit."""
        if self.picture is None:
            return
        index = {name: i for i, name in enumerate(self._action.names)}
        bodies = [self.picture.joint_bodies[index[name]] for name in joints if name in index]
        self._limits.show([body for body in bodies if body is not None], self._data)

    def _shapes(self, markers: Markers | None) -> Sequence[Shape]:
        if self.picture is None:
            return shapes_of(markers, np.eye(3), np.zeros(3))
        rotation, origin = self.picture.pose.frame.twist(self._qpos, np.zeros(self.picture.model.nv))[:2]
        return shapes_of(markers, rotation, origin)
