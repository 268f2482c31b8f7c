# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What each ensemble member makes of the newest plan. The served version runs here, in the panel's own process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.control.loop import start_thread
from mbrl_controller.models.loading import LoadedModel, load_model
from mbrl_controller.models.registry import Registry
from mbrl_controller.panel.live import Live
from mbrl_controller.tasks.spaces import Array

NICE = 10


class Predictions:
    """Rolls plans out on a thread of its own, the newest one only."""

    def __init__(self, live: Live, models_dir: Path | None, *, wanted: bool = True) -> None:
        """`wanted`: false draws none."""
        self._wanted = wanted
        self._live, self._registry = live, Registry(models_dir)
        self._model: LoadedModel | None = None
        self._tried = ""
        self._asked: tuple[Array, Array, str] | None = None
        self._wake, self._closed = threading.Event(), threading.Event()
        self.states: Array | None = None  # [E, H + 1, S] of the newest plan that is done; None: no model
        self._thread = start_thread(self._run, "panel predictions")

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._wake.set()
        self._thread.join()

    def ask(self, state: Array, plan: Array, version: str) -> None:
        """Roll a plan [H, A] (rad) out from a state [S] with a model version, in place of what was asked before."""
        self._asked = (state, plan, version)
        if self._wanted:
            self._wake.set()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._closed.is_set():
                return
            asked = self._asked
            if asked is None:
                continue
            state, plan, version = asked
            self._load(version)
            model = self._model
            if model is None or not np.isfinite(state).all():
                self.states = None
                continue
            try:
                rolled = model.rollout(state, plan[None])[:, 0]
            except MbrlError as error:
                self._live.note(f"no paths of predictions: {error}")
                self._model = self.states = None
                continue
            now = np.broadcast_to(state, (rolled.shape[0], 1, len(state)))
            self.states = np.concatenate([now, rolled], axis=1)

    def _load(self, version: str) -> None:
        if version == self._tried:
            return
        self._tried, self._model = version, None
        task = self._live.contract.task
        try:
            found = self._registry.resolve(task.name, version, self._live.contract.file.robot)
            self._model = load_model(found, task=task, action=self._live.contract.action, heads=False)
        except (MbrlError, OSError) as error:  # another machine's version, a planner without a model
            self._live.note(f"no paths of predictions: {error}")
