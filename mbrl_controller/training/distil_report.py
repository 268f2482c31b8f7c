# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The report beside a distilled version, in markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mbrl_controller.training.distil_plan import DistilInputs, DistilPlan, command_of
from mbrl_controller.training.report import REPORT_FILE

HEADING = "# Policy and value"


def write_report(
    files: Path,
    plan: DistilPlan,
    inputs: DistilInputs,
    policy: Mapping[str, float],
    value: Mapping[str, float],
    notes: Sequence[str] = (),
) -> Path:
    """Write report.md into `files`: this distillation, and below it the report of the model that it learnt from.

    Args:
        files: folder of the new version's files.
        plan: of the run.
        inputs: of the run.
        policy: figures of the policy.
        value: figures of the value; empty without one.
        notes: what a reader must know.
    """
    steps = ", ".join(map(str, inputs.goal_steps))
    source = f"{len(plan.files)} episode files" if plan.files else "the planner, acting in simulation"
    rows = [
        ("learnt from", f"the planner with {plan.task} {plan.version}, `{plan.model}`"),
        ("first states", source),
        ("rounds of acting", str(plan.rounds)),
        ("sees the goal", f"{steps} control periods ahead"),
        ("actions of a plan", str(inputs.horizon)),
        ("created", plan.created),
        ("command", f"`{command_of(plan)}`"),
    ]
    lines = [HEADING, "", *(f"{note}.\n" for note in notes)]
    lines += ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows), ""]
    for title, figures in (("Policy", policy), ("Value", value)):
        if figures:
            lines += [f"## {title}", "", "| figure | |", "|---|---|"]
            lines += [f"| {name} | {number:.4g} |" for name, number in sorted(figures.items())]
            lines.append("")
    before = inputs.version.folder / REPORT_FILE
    if before.is_file():
        text = before.read_text(encoding="utf-8")
        if text.startswith(HEADING):  # of an earlier distillation, whose heads are replaced
            text = text.partition("\n# ")[2] and "# " + text.partition("\n# ")[2]
        lines += [text]
    path = files / REPORT_FILE
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
