# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl panel`: a page in the browser for a controller that runs already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.cli.chosen_task import chosen_task
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.options import ContractOption, ModelsOption, TaskArgument


@report_errors
def panel(
    task: TaskArgument = None,
    contract: ContractOption = None,
    host: Annotated[str, typer.Option(help="address to serve on; another than 127.0.0.1 needs a token")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="the next free one where it is in use")] = 8080,
    token_file: Annotated[
        Path | None, typer.Option(help="its first line is what a browser must know to steer; without it one may look")
    ] = None,
    controller: Annotated[str, typer.Option(help="name of the controller's node")] = "controller",
    logger: Annotated[str, typer.Option(help="name of the logger's node")] = "logger",
    models_dir: ModelsOption = None,
    model_file: Annotated[
        Path | None, typer.Option(help="MJCF or URDF to draw (default: the contract's world, or its robot's)")
    ] = None,
    paths: Annotated[bool, typer.Option(help="draw what each ensemble member expects of the plan")] = True,
) -> None:
    """See and steer a running controller, real or simulated, from the browser. It finds it in this ROS domain."""
    from mbrl_controller.control.task_config import contract_path
    from mbrl_controller.panel.node import main
    from mbrl_controller.stack.processes import ros_arguments

    parameters = {
        "contract": str(contract or contract_path(chosen_task(task, contract))),
        "host": host,
        "port": port,
        "controller": controller,
        "logger": logger,
        "token_file": str(token_file or ""),
        "models_dir": str(models_dir or ""),
        "model_file": str(model_file or ""),
        "paths": paths,
    }
    if code := main(["panel", *ros_arguments((), parameters)], in_foreground=True):
        raise MbrlError(f"the panel ended with {code}")
