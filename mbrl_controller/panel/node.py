# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The node `panel`: a page in the browser for a running controller, through its topics and services only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import user_path
from mbrl_controller.base.units import NO_UNIT
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.models.registry import Registry
from mbrl_controller.nodes.controller_options import find_contract
from mbrl_controller.nodes.lifecycle import ManagedNode, run
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.nodes.parameters import Parameters, check_name
from mbrl_controller.panel.access import Access, read_token
from mbrl_controller.panel.actions import Actions
from mbrl_controller.panel.calls import Caller
from mbrl_controller.panel.feed import Feed
from mbrl_controller.panel.live import Live
from mbrl_controller.panel.page import Page
from mbrl_controller.panel.predictions import Predictions
from mbrl_controller.panel.remote_parameters import RemoteParameters

PORT = 8080
SPECS = [
    Spec("autostart", True, "configure and activate at the start", read_only=True),
    Spec("contract", "", "robot contract: a path, or a file of the package's config/; empty: adroit_baoding.yaml"),
    Spec("controller", "controller", "name of the controller's node"),
    Spec("logger", "logger", "name of the logger's node"),
    Spec("host", "127.0.0.1", "address to serve on; another than this machine's own needs token_file"),
    Spec("port", PORT, "port to serve on; the next free one is taken where it is in use", unit=NO_UNIT, lower=1,
         upper=65535),
    Spec("token_file", "", "file whose first line is what a browser must know to steer; empty: none is asked for"),
    Spec("models_dir", "", "model registry; empty: $MBRL_HOME/models, then the shipped models"),
    Spec("model_file", "", "MJCF or URDF of the hand to draw; empty: the contract's world, or its robot's"),
    Spec("paths", True, "roll each plan out with the served version, in this process, and draw the objects' ways"),
]  # fmt: skip


class Panel(ManagedNode):
    """Shows and steers; publishes nothing but goals, and only where a person sends one."""

    def __init__(self) -> None:
        super().__init__("panel")
        self._settings = Parameters(self, SPECS, lambda values: None, lambda: None)
        self._parts: list[Callable[[], None]] = []  # what ends each, in the order they began

    def setup(self) -> None:
        """Read the parameters, listen, and serve the page."""
        values = self._settings.values()
        contract = load_contract(find_contract(values["contract"]))
        for name in ("controller", "logger"):
            check_name(name, values[name])
        token = read_token(values["token_file"]) if values["token_file"] else ""
        access = Access(values["host"], token)
        models = user_path(values["models_dir"]) if values["models_dir"] else None
        live = Live(contract)
        caller = Caller(self)
        self._parts.append(caller.close)
        parameters = RemoteParameters(self, caller, values["controller"])
        self._parts.append(parameters.close)
        actions = Actions(self, live, caller, parameters, values["controller"], values["logger"])
        self._parts.append(actions.close)
        predictions = Predictions(live, models, wanted=values["paths"])
        self._parts.append(predictions.close)
        feed = Feed(self, contract, live, values["controller"])
        self._parts.append(feed.close)
        page = Page(
            live,
            feed.state,
            actions,
            parameters,
            predictions,
            access,
            Registry(models),
            port=values["port"],
            controller=values["controller"],
            logger=values["logger"],
            model_file=Path(values["model_file"]) if values["model_file"] else None,
        )
        self._parts.append(page.close)
        self.get_logger().info(f"watch at {page.url}")

    def teardown(self) -> None:
        """Stop serving, then leave the topics."""
        while self._parts:
            self._parts.pop()()


def main(args: Sequence[str] | None = None, *, in_foreground: bool = False) -> int:
    """Entry point of `panel`. In the foreground of a person's terminal it does not wait to be configured again.

    Raises MbrlError where it cannot serve in the foreground.
    """
    made: list[Panel] = []

    def make() -> Panel:
        made.append(Panel())
        return made[0]

    def has_failed(_: Any) -> bool:
        return in_foreground and made[0].lifecycle_state == "unconfigured"

    code = run(make, args, until=has_failed)
    if in_foreground and made and " failed: " in made[0].reason:
        raise MbrlError(made[0].reason.partition(" failed: ")[2])
    return code


if __name__ == "__main__":
    raise SystemExit(main())
