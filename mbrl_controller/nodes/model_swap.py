# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Swaps the model of a configured controller for another version, beside the running loop: when `~/load_model` asks for
it, and when the registry's current version moves."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from std_srvs.srv import Trigger

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.loop import start_thread
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.steps import ControlModel
from mbrl_controller.models.registry import Registry
from mbrl_controller.nodes.controller_model import describe, load_beside, version_named, warn_of_fallback
from mbrl_controller.nodes.controller_options import ControllerOptions
from mbrl_controller.nodes.controller_report import Counters
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.polling import SlowService

LONGEST_WAIT_S = 1.0  # after which a changed parameter counts


class ModelSwap:
    """Loads versions for one configured controller. A version that is refused leaves the present one in place."""

    def __init__(
        self,
        node: ManagedNode,
        contract: RobotContract,
        session: ControlSession,
        counters: Counters,
        *,
        options: Callable[[], ControllerOptions],
        check: Callable[[ControllerOptions, ControlModel], None],
        swapped: Callable[[], None],
    ) -> None:
        """
        Args:
            node: logs, and offers `~/load_model`.
            contract: of the hand.
            session: whose model is swapped.
            counters: count refusals.
            options: the present ones, which name the version.
            check: raises MbrlError for a model that does not fit the options.
            swapped: called after each swap.
        """
        self._node, self._contract, self._session, self._counters = node, contract, session, counters
        self._options, self._check, self._swapped = options, check, swapped
        self._loading = threading.Lock()  # one version at a time
        self._closed = threading.Event()
        # Loading a model must not hold up an e-stop.
        self._service = SlowService(node, Trigger, "~/load_model", self._on_request)
        self._follower = start_thread(self._follow, "follow current")

    def close(self) -> None:
        """End the service, after the request in work, and the following."""
        self._closed.set()
        self._service.close()
        self._follower.join()

    def _on_request(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._loading:
            response.success, response.message = self._load()
        return response

    def _load(self) -> tuple[bool, str]:
        """Load the version that the options name, and swap; whether it was done, and what or why not."""
        counters, logger, options = self._counters, self._node.get_logger(), self._options()
        before = self._session.core.model.version or "no model"
        try:
            model = load_beside(self._contract, options)
            self._check(self._options(), model)
        except MbrlError as error:
            counters.models_refused += 1
            counters.last_model_refusal = str(error)
            logger.error(f"model refused, {before} stays: {error}")
            return False, str(error)
        if self._closed.is_set():
            return False, "the node was cleaned up meanwhile"
        self._session.swap(model)
        self._swapped()
        logger.info(f"{before} -> {describe(model)}")
        warn_of_fallback(logger, model)
        return True, f"{before} -> {model.version}"

    def _follow(self) -> None:
        """Look at the registry as often as the options say, until closed. Only a move of `current` makes it load, so a
        version that was refused is not tried again and again."""
        seen: list[str] | None = None
        told, looked = "", -math.inf
        while not self._closed.wait(min(self._options().follow_current_s or LONGEST_WAIT_S, LONGEST_WAIT_S)):
            options, now = self._options(), time.monotonic()
            if not options.follow_current_s or not options.needs_model:
                seen = None
            elif now - looked >= options.follow_current_s:
                looked = now
                try:
                    seen = self._look(seen)
                    told = ""
                except MbrlError as error:  # it may be readable at the next look
                    if str(error) != told:
                        told = str(error)
                        self._node.get_logger().warning(f"the current version is not followed: {error}")

    def _look(self, seen: list[str] | None) -> list[str]:
        """What was promoted in the registry, newest first; loads the current version if that is not `seen`."""
        options = self._options()
        promoted = Registry(options.models_dir or None).promoted(self._contract.task.name)
        if promoted != seen:
            with self._loading:
                if version_named(self._contract, options).name != self._session.core.model.version:
                    self._load()
        return promoted
