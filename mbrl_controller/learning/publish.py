# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How to use the best version of a run, and adding it to a user's registry."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.run_folder import PLAN_FILE
from mbrl_controller.learning.plots import PLOT_FILE
from mbrl_controller.learning.run import LearnResult
from mbrl_controller.models.card import Version
from mbrl_controller.models.registry import Registry
from mbrl_controller.training.report import REPORT_FILE
from mbrl_controller.training.version_copy import copy_files


def epilogue(learned: LearnResult) -> list[str]:
    """Lines for a person: where things are, and what to do next."""
    task, folder, best = learned.plan.task, learned.folder, learned.best
    runs = f" --runs-dir {folder.parents[2]}"
    lines = []
    if not learned.finished:
        lines.append(f"stopped; continue with: mbrl learn {task} --resume --run {folder.name}{runs}")
    lines += [f"run {folder}", f"learning curve {folder / PLOT_FILE}", f"live: tensorboard --logdir {folder}"]
    if best is not None:
        is_real = learned.plan.hand == "real"
        where = "in the episodes that it collected" if is_real else "on held-out seeds"
        evaluate = f"  mbrl evaluate {task} --model {best.version} --models-dir {folder / 'models'}"
        lines += [
            f"best version {best.version}, {where}: {100 * (best.goal_rate or 0.0):.0f} % of the goals, "
            f"return {best.return_mean:.1f}",
            *([] if is_real else [evaluate]),
            f"  mbrl learn {task} --resume --run {folder.name}{runs} --keep    # make it current in your models",
        ]
    return lines


def publish(learned: LearnResult, models_dir: Path | None = None) -> Version:
    """Add the best version of a run to the registry of `models_dir` under its next name, and promote it.

    The run's plan goes with it, because the card's command does not show every option. Raises MbrlError if no version
    has been evaluated.
    """
    best, task = learned.best_version(), learned.plan.task
    if best is None:
        raise MbrlError(f"{learned.folder}: no version was evaluated yet")
    card = best.card()
    registry = Registry(models_dir)
    name = registry.next_name(task)
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch)
        card = copy_files(best, card, files, name)
        shutil.copy2(learned.folder / PLAN_FILE, files / PLAN_FILE)
        _rename_report(files / REPORT_FILE, f"{task} {best.name}", f"{task} {name}", learned.folder.name)
        assert learned.best is not None  # or there were no version
        base = learned.plan.base.version
        update = {
            "command": f"mbrl learn {task} --seed {learned.plan.seed}" + (f" --from-version {base}" if base else ""),
            "notes": f"{best.name} of the run {learned.folder.name}; "
            f"{learned.best.env_steps} control steps of experience",
        }
        version = registry.add(task, files, card.model_copy(update=update))
    return registry.promote(task, version.name)


def _rename_report(report: Path, old: str, new: str, run: str) -> None:
    """A report names its version in its first line."""
    text = report.read_text(encoding="utf-8")
    title = f"# {new}\n\nWas {old} of the run {run}, of which its parent is one, too."
    report.write_text(text.replace(f"# {old}", title, 1), encoding="utf-8")
