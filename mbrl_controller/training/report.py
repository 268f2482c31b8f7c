# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The report beside a model, in markdown with plots: its data, its training, its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np

from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.training.dataset import Dataset

if TYPE_CHECKING:
    from mbrl_controller.dynamics.training_state import EpochReport
    from mbrl_controller.training.acceptance import AcceptanceResult

matplotlib.use("Agg")
from matplotlib import pyplot as plt

REPORT_FILE = "report.md"
LOSS_PLOT = "loss.png"
ERROR_PLOT = "errors.png"


def write_report(
    folder: Path,
    spec: ModelSpec,
    history: Sequence[EpochReport],
    metrics: dict[str, float],
    baseline: dict[str, float],
    dataset: Dataset,
    failed: str,
    int8: AcceptanceResult | None = None,
    passed_over: Mapping[str, str] | None = None,
) -> Path:
    """Write report.md and its plots.

    Args:
        folder: of the version.
        spec: of the model.
        history: its training.
        metrics: its validation metrics.
        baseline: those of its parent; empty without one.
        dataset: its data, with what was left out.
        failed: why it is worse than its parent; empty if it is not.
        int8: of the 8-bit file; None where none was tried.
        passed_over: versions newer than the parent, and why they are no parent.

    Returns:
        The file.
    """
    _plot_loss(folder / LOSS_PLOT, history)
    _plot_errors(folder / ERROR_PLOT, metrics, baseline, spec.parent)
    rows = [
        ("task, robot", f"{spec.task}, {spec.robot}"),
        ("parent", spec.parent or "none"),
        *(("no parent", f"{name}: {why}") for name, why in (passed_over or {}).items()),
        ("network", f"{spec.ensemble_size} x {list(spec.hidden)}, {spec.precision}"),
        ("transitions", f"{spec.transitions} in {len(dataset.files)} episodes"),
        ("origin", "; ".join(map(str, dataset.origins))),
        ("data sha256", f"`{spec.data_digest}`"),
        ("created", spec.created),
        ("disagreement limit", _number(spec.disagreement_limit)),
    ]
    lines = [f"# {spec.task} {spec.version}", ""]
    if failed:
        lines += [f"**{failed}**", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += ["## Held-out episodes", "", "Errors of this model, of its parent, and of predicting no motion.", ""]
    lines += [
        "nrmse: in units of one step's change; degrees: angle to the true orientation; horizon: open loop over the "
        "planner's horizon.",
        "",
        "| error | this | parent | no motion |",
        "|---|---|---|---|",
    ]
    for name in sorted(n for n in metrics if ("rmse" in n or "_degrees." in n) and not n.startswith("stay_")):
        values = (metrics[name], baseline.get(name), metrics.get(f"stay_{name}"))
        lines.append(f"| {name} | {' | '.join(_number(v) for v in values)} |")
    lines += ["", "## 8 bit", "", *_int8_lines(int8)]
    lines += ["", f"![held-out errors]({ERROR_PLOT})", "", "## Training", "", f"![loss]({LOSS_PLOT})", ""]
    if dataset.unused_files or dataset.skipped:
        lines += ["## Left out", ""]
        lines += [f"- {count} commands: {reason}" for reason, count in sorted(dataset.skipped.items())]
        lines += [f"- `{Path(path).name}`: {reason}" for path, reason in sorted(dataset.unused_files.items())]
        lines.append("")
    path = folder / REPORT_FILE
    path.write_text("\n".join(lines))
    return path


def _int8_lines(int8: AcceptanceResult | None) -> list[str]:
    if int8 is None:
        return ["Not asked for."]
    lines = [
        f"No 8-bit file: {int8.failed_checks}." if int8.failed_checks else "An 8-bit file lies beside the fp32 one."
    ]
    if int8.metrics:
        lines += ["", "Compared with fp32 on held-out states:", "", "| figure | 8 bit |", "|---|---|"]
        lines += [f"| {name} | {_number(value)} |" for name, value in sorted(int8.metrics.items())]
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.4g}"


def _plot_loss(path: Path, history: Sequence[EpochReport]) -> None:
    stages = list(dict.fromkeys(report.stage for report in history))
    figure, axes = plt.subplots(1, max(len(stages), 1), figsize=(4.5 * max(len(stages), 1), 3.2), squeeze=False)
    for axis, stage in zip(axes[0], stages, strict=False):
        reports = [report for report in history if report.stage == stage]
        epochs = [report.epoch for report in reports]
        axis.plot(epochs, [np.nan if r.train_loss is None else r.train_loss for r in reports], label="training")
        axis.plot(epochs, [np.mean(r.validation_loss) for r in reports], label="validation")
        axis.set(title=stage, xlabel="epoch", ylabel="loss (change² = 1)", yscale="log")
        axis.legend()
    _save(figure, path)


def _plot_errors(path: Path, metrics: dict[str, float], baseline: dict[str, float], parent: str) -> None:
    names = ["one_step_nrmse", "horizon_nrmse"]
    series = [("this", [metrics.get(n, np.nan) for n in names])]
    if baseline:
        series.append((parent or "parent", [baseline.get(n, np.nan) for n in names]))
    series.append(("no motion", [metrics.get(f"stay_{n}", np.nan) for n in names]))
    figure, axis = plt.subplots(figsize=(4.5, 3.2))
    width = 0.8 / len(series)
    for i, (label, values) in enumerate(series):
        axis.bar(np.arange(len(names)) + i * width, values, width, label=label)
    axis.set_xticks(np.arange(len(names)) + 0.4 - width / 2, ["one step", "horizon"])
    axis.set_ylabel("nrmse")
    axis.legend()
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
