# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl contract`: write a first one, and check one, alone or against a running hand."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mbrl_controller.cli.console import console, error_console, say
from mbrl_controller.cli.errors import REFUSED, report_errors, warn
from mbrl_controller.cli.options import TASKS, JsonOption
from mbrl_controller.cli.tables import print_rows

app = typer.Typer(help="Robot contracts: new, check.", no_args_is_help=True)


@app.command()
@report_errors
def new(
    urdf: Annotated[Path | None, typer.Option(help="the hand's URDF")] = None,
    mjcf: Annotated[Path | None, typer.Option(help="the hand's MJCF")] = None,
    task: Annotated[str, typer.Option(help=TASKS)] = "reach",
    robot: Annotated[str, typer.Option(help="name of the hand (default: the file's)")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="file to write (default: print it)")] = None,
) -> None:
    """Write a first contract: joints, limits, neutral pose and rates of a model file, and what to check."""
    from mbrl_controller.scaffold import new_contract as job

    if (mjcf is None) == (urdf is None):
        raise typer.BadParameter("give the hand's model as --urdf FILE or as --mjcf FILE")
    made = job.run(urdf=urdf, mjcf=mjcf, task=task, robot=robot)
    if output is None:
        say(made.text.rstrip("\n"))
    else:
        with output.open("x", encoding="utf-8") as file:
            file.write(made.text)
        say(f"{output}: written. Next: mbrl contract check {output} --live")
    if made.problem:
        warn(f"the task needs more than this contract has: {made.problem}")


@app.command()
@report_errors
def check(
    file: Annotated[str, typer.Argument(help="contract: a path, or one of config/, such as hands/leap_v1.yaml")],
    live: Annotated[bool, typer.Option("--live", help="listen to the running hand too; sends nothing")] = False,
    seconds: Annotated[float, typer.Option(min=0.5, max=600.0, help="how long to listen, s")] = 5.0,
    sim_time: Annotated[bool, typer.Option("--sim-time", help="the hand stamps by /clock")] = False,
    namespace: Annotated[str, typer.Option(help="ROS namespace of the controller, if it has one")] = "",
    json: JsonOption = None,
) -> None:
    """Find what would keep a hand from being controlled, and say what to change. Exit code 1: something was found."""
    from mbrl_controller.base.files import write_json
    from mbrl_controller.base.shares import config_file
    from mbrl_controller.contract.contract import load_contract
    from mbrl_controller.contract.findings import static_findings

    contract = load_contract(config_file(file))
    findings, heard = static_findings(contract), dict[str, list[dict[str, Any]]]()
    if live:
        from mbrl_controller.nodes.contract_check import check_live

        with error_console.status("listening to the hand"):
            report = check_live(contract, seconds, sim_time=sim_time, namespace=namespace)
        findings, heard = findings + report.findings, {"sources": report.sources, "commands": report.commands}
        print_rows("states", report.sources)
        print_rows("commands", report.commands)
        console.print()
    if json is not None:
        write_json(json, {"contract": file, **heard, "findings": [asdict(one) for one in findings]})
    if findings:
        print_rows("what to change", [asdict(one) for one in findings])
        raise typer.Exit(REFUSED)
    say(f"{file}: {contract.file.robot}, task {contract.task.name}, {len(contract.action)} joints: nothing found")
