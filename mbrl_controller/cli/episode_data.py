# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl episodes export` and `import`: data for other programs, and from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from mbrl_controller.cli.console import episode_bar, say
from mbrl_controller.cli.errors import report_errors
from mbrl_controller.cli.options import ContractOption, ModelsOption


@report_errors
def export(
    episodes: Annotated[list[Path], typer.Argument(help="files, or folders to search")],
    to: Annotated[Literal["lerobot", "minari", "parquet", "csv"], typer.Option("--to", help="format")],
    out: Annotated[Path, typer.Option("--out", help="folder to make")],
    contract: ContractOption = None,
    instruction: Annotated[str, typer.Option(help="the task in words, for LeRobot (default: its name)")] = "",
    without_goals: Annotated[
        bool, typer.Option("--without-goals", help="no goals and rewards: also periods for which none were logged")
    ] = False,
    bridge: Annotated[
        str,
        typer.Option(metavar="VERSION", help="fill gaps of the sensors by this version, where a segment would end"),
    ] = "",
    bridge_by: Annotated[
        Literal["dynamics", "between"],
        typer.Option("--bridge-by", help="the version's model, or its model of kind between (`mbrl fit`)"),
    ] = "dynamics",
    models_dir: ModelsOption = None,
) -> None:
    """Write what may be learnt from episodes in the format of another library."""
    from mbrl_controller.contract.contract import load_contract
    from mbrl_controller.episodes.export import run
    from mbrl_controller.episodes.export_writer import ExportOptions
    from mbrl_controller.training.dataset import episode_files

    files = episode_files(episodes)
    own = None if contract is None else load_contract(contract)
    if bridge:
        from mbrl_controller.training.bridge import find_bridge

        own, filled = find_bridge(bridge, bridge_by, files, own, models_dir)
    with episode_bar(len(files)) as done:
        report = run(
            files,
            out,
            to,
            contract=own,
            options=ExportOptions(instruction, bridge=filled if bridge else None, goals=not without_goals),
            on_file=done,
        )
    if bridge:
        say(f"{report.bridged} states were not measured, and filled in")
    say(f"{report.folder}: {report.frames} control periods of {report.files} files, in {report.segments} segments")
    say_left_out(report.left_out, report.unused)
    for note in report.notes:
        say(note)


@report_errors
def import_(
    bags: Annotated[list[Path], typer.Argument(metavar="BAG...", help="folders or files of `ros2 bag record`")],
    contract: Annotated[Path, typer.Option(metavar="FILE", help="robot contract: a path, or a file of config/")],
    out: Annotated[Path, typer.Option("--out", help="log folder, which `mbrl retrain --episodes` takes")],
    world: Annotated[str, typer.Option(help="where the hand was: real, or a name of yours for a simulator")],
    begin: Annotated[
        str, typer.Option(help="what begins an episode: /topic, or /topic=value (default: the first command)")
    ] = "",
    end: Annotated[str, typer.Option(help="what ends it: /topic, or /topic=value")] = "",
    gap: Annotated[
        float | None,
        typer.Option(min=0.0, help="s without a command that end an episode (default: 2; with --begin: none)"),
    ] = None,
    length: Annotated[float, typer.Option(min=0.1, help="s; longer episodes are cut")] = 600.0,
    drops: Annotated[bool, typer.Option(help="a drop ends an episode, the object's return begins one")] = True,
    remap: Annotated[
        list[str] | None, typer.Option("--remap", help="CONTRACT_TOPIC=BAG_TOPIC, where the bag has another name")
    ] = None,
) -> None:
    """Cut bags that others recorded into episodes to learn from, and say what was left out."""
    from mbrl_controller.base.errors import MbrlError
    from mbrl_controller.base.shares import config_file
    from mbrl_controller.contract.contract import load_contract
    from mbrl_controller.episodes.cutting import CutRules, TopicRule
    from mbrl_controller.episodes.import_bags import run

    if end and not begin:
        raise MbrlError("--end needs --begin")
    names = [text.partition("=") for text in remap or ()]
    if wrong := [topic for topic, _, name in names if not topic or not name.startswith("/")]:
        raise MbrlError(f"--remap {wrong[0]}: expected CONTRACT_TOPIC=/BAG_TOPIC")
    rules = CutRules(
        TopicRule.parse(begin) if begin else None, TopicRule.parse(end) if end else None, gap, length, drops
    )
    own = load_contract(config_file(str(contract)))
    with episode_bar(len(bags), "bags") as done:
        report = run(
            bags, own, out, world=world, rules=rules, remap={topic: name for topic, _, name in names}, on_bag=done
        )
    for folder in report.folders:
        say(str(folder))
    say(f"{report.episodes} episodes, {report.transitions} transitions")
    say_left_out(report.left_out, report.unused)
    for problem in report.problems:
        say(f"not read: {problem}")


def say_left_out(counts: Mapping[str, int], unused: Mapping[str, str]) -> None:
    """What is not in the result, and why."""
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        say(f"left out: {count}: {reason}")
    for path, reason in unused.items():
        say(f"not used: {path}: {reason}")
