# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What becomes of a run's versions: how to use the best one, and taking it into a user's registry."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.run_folder import PLAN_FILE
from mbrl_controller.learning.plots import PLOT_FILE
from mbrl_controller.learning.renaming import copy_as
from mbrl_controller.learning.run import Learned
from mbrl_controller.models.registry import CARD_FILE, INT8_FILE, MODEL_FILE, Registry, Version, file_sha256
from mbrl_controller.training.report import REPORT_FILE

MODEL_FILES = (MODEL_FILE, INT8_FILE)


def epilogue(learned: Learned) -> list[str]:
    """Where things are, and what to do next."""
    task, folder, best = learned.plan.task, learned.folder, learned.best
    runs = f" --runs-dir {folder.parents[2]}"
    lines = []
    if not learned.finished:
        lines.append(f"stopped; it goes on with: mbrl learn {task} --resume --run {folder.name}{runs}")
    lines += [f"run {folder}", f"learning curve {folder / PLOT_FILE}", f"live: tensorboard --logdir {folder}"]
    if best is not None:
        lines += [
            f"best version {best.version}, on held-out seeds: {100 * (best.goal_rate or 0.0):.0f} % of the goals, "
            f"return {best.return_mean:.1f}",
            f"  mbrl evaluate {task} --model {best.version} --models-dir {folder / 'models'}",
            f"  mbrl learn {task} --resume --run {folder.name}{runs} --keep    # make it current in your models",
        ]
    return lines


def keep(learned: Learned, models_dir: Path | None = None) -> Version:
    """Add the best version of a run to the registry of `models_dir` under its next name, and promote it.

    The run's plan, which the card's command need not tell all of, goes with it. Raises MbrlError where there is no
    evaluated version.
    """
    best, task = learned.best_version(), learned.plan.task
    if best is None:
        raise MbrlError(f"{learned.folder}: no version was evaluated yet")
    card = best.card()
    registry = Registry(models_dir)
    name = registry.next_name(task)
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch)
        for path in best.folder.iterdir():
            if path.is_file() and path.name not in (CARD_FILE, *MODEL_FILES):
                shutil.copy2(path, files / path.name)
        shutil.copy2(learned.folder / PLAN_FILE, files / PLAN_FILE)
        _rename_report(files / REPORT_FILE, f"{task} {best.name}", f"{task} {name}", learned.folder.name)
        spec = copy_as(best.read(best.model, card), files / MODEL_FILE, name)
        int8 = None
        if card.int8_sha256:
            copy_as(best.read(best.int8, card), files / INT8_FILE, name)
            int8 = file_sha256(files / INT8_FILE)
        assert learned.best is not None  # or there were no version
        update = {
            "spec": spec,
            "model_sha256": file_sha256(files / MODEL_FILE),
            "int8_sha256": int8,
            "command": f"mbrl learn {task} --seed {learned.plan.seed}",
            "notes": f"{best.name} of the run {learned.folder.name}; {learned.best.points} control steps of experience",
        }
        version = registry.add(task, files, card.model_copy(update=update))
    return registry.promote(task, version.name)


def _rename_report(report: Path, old: str, new: str, run: str) -> None:
    """A report names its version in its first line."""
    text = report.read_text(encoding="utf-8")
    title = f"# {new}\n\nWas {old} of the run {run}, of which its parent is one, too."
    report.write_text(text.replace(f"# {old}", title, 1), encoding="utf-8")
