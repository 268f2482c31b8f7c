# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How to use the best version of a run, and adding it to a user's registry."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import onnx

from mbrl_controller.base.errors import MbrlError, ModelError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.base.run_folder import PLAN_FILE
from mbrl_controller.learning.plots import PLOT_FILE
from mbrl_controller.learning.run import LearnResult
from mbrl_controller.models.card import CARD_FILE, INT8_FILE, MODEL_FILE, ONNX_FILES, Version
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.head_loading import read_heads
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import METADATA_KEY, ModelSpec
from mbrl_controller.training.report import REPORT_FILE


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
        for path in best.folder.iterdir():
            if path.is_file() and path.name not in (CARD_FILE, *ONNX_FILES):
                shutil.copy2(path, files / path.name)
        shutil.copy2(learned.folder / PLAN_FILE, files / PLAN_FILE)
        _rename_report(files / REPORT_FILE, f"{task} {best.name}", f"{task} {name}", learned.folder.name)
        spec = _copy_as(best.read(best.model, card), files / MODEL_FILE, name)
        for head in read_heads(best, card).values():
            (files / head.path.name).write_bytes(head.content)
        int8 = None
        if card.int8_sha256:
            _copy_as(best.read(best.int8, card), files / INT8_FILE, name)
            int8 = file_sha256(files / INT8_FILE)
        assert learned.best is not None  # or there were no version
        update = {
            "spec": spec,
            "model_sha256": file_sha256(files / MODEL_FILE),
            "int8_sha256": int8,
            "command": f"mbrl learn {task} --seed {learned.plan.seed}",
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


def _copy_as(source: ModelFile, target: Path, version: str) -> ModelSpec:
    """Write the ONNX file `source` to `target` as `version`, without a parent; its new spec. Raises ModelError."""
    try:
        proto = onnx.load_model_from_string(source.content)
    except Exception as error:  # protobuf's
        raise ModelError(f"{source.path}: cannot be read: {error}") from error
    spec = ModelSpec.from_metadata({entry.key: entry.value for entry in proto.metadata_props}, str(source.path))
    spec = spec.model_copy(update={"version": version, "parent": ""})
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = spec.to_metadata()[METADATA_KEY]
    write_atomically(target, proto.SerializeToString(deterministic=True))
    return spec
