# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The report beside fitted physics: values, intervals, warnings, and what of the state was estimated."""

from __future__ import annotations

from pathlib import Path

from mbrl_controller.models.card import ModelCard
from mbrl_controller.models.fitted import FittedParameter
from mbrl_controller.training.dataset import Dataset

REPORT_FILE = "report.md"


def write_report(folder: Path, card: ModelCard, dataset: Dataset) -> Path:
    """Write report.md; returns the file."""
    spec, found, metrics = card.spec, card.identified, card.spec.metrics
    assert found is not None
    rows = [
        ("task, robot", f"{spec.task}, {spec.robot}"),
        ("world fitted", found.world),
        ("command", f"`{card.command}`"),
        ("data", f"{spec.transitions} transitions in {len(dataset.files)} episodes"),
        ("origin", "; ".join(map(str, dataset.origins))),
        ("data sha256", f"`{spec.data_digest}`"),
        ("created", spec.created),
        ("estimated, because it is not measured", "; ".join(found.unseen) or "nothing"),
    ]
    lines = [f"# {spec.task} {spec.version}: fitted physics", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows]
    lines += ["", "| parameter | value | 95 % interval | in the scene | unit |", "|---|---|---|---|---|"]
    lines += [_row(parameter) for parameter in found.parameters]
    lines += ["", *(f"* {warning}" for warning in found.warnings)]
    lines += [
        "",
        "## Episodes held out",
        "",
        "Errors of the simulator from measured states, in units of one step's change: root mean square, which a few "
        "missed contacts rule, and median over windows.",
        "",
        "| | root mean square | median |",
        "|---|---|---|",
        *(f"| {name} | {metrics[f'{key}_nrmse']:.4g} | {metrics[f'{key}_median']:.4g} |"
          for name, key in (("the scene as it is written", "before"), ("fitted", "after"))),
    ]  # fmt: skip
    path = folder / REPORT_FILE
    path.write_text("\n".join(lines) + "\n")
    return path


def _row(p: FittedParameter) -> str:
    interval = f"{p.low:.4g} to {p.high:.4g}" if p.fitted else "not identifiable"
    return f"| {p.name} | {p.value:.4g} | {interval} | {p.nominal:.4g} | {p.unit} |"
