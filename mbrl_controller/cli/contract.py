# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl contract`: check one, alone or against a running hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from mbrl_controller.cli.console import console, error_console, say
from mbrl_controller.cli.errors import REFUSED, report_errors
from mbrl_controller.cli.options import JsonOption
from mbrl_controller.cli.tables import print_rows

app = typer.Typer(help="Robot contracts: check them, alone or against a running hand.", no_args_is_help=True)


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
    findings, sources = static_findings(contract), list[dict[str, Any]]()
    if live:
        from mbrl_controller.nodes.contract_check import check_live

        with error_console.status("listening to the hand"):
            report = check_live(contract, seconds, sim_time=sim_time, namespace=namespace)
        findings, sources = findings + report.findings, report.sources
        print_rows("what was heard", sources)
        console.print()
    if json is not None:
        write_json(json, {"contract": file, "sources": sources, "findings": [asdict(one) for one in findings]})
    if findings:
        print_rows("what to change", [asdict(one) for one in findings])
        raise typer.Exit(REFUSED)
    say(f"{file}: {contract.file.robot}, task {contract.task.name}, {len(contract.action)} joints: nothing found")
