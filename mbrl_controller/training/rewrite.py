# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A version whose model files are written anew, in the graph of this release."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mbrl_controller.dynamics.rewrite import rewritten
from mbrl_controller.models.card import CARD_FILE, INT8_FILE, MODEL_FILE, ONNX_FILES, Version
from mbrl_controller.models.registry import Registry


def run(task: str, version: str = "current", *, models_dir: Path | None = None) -> Version:
    """Add a version with the networks and heads of another and today's graphs; it is not promoted.

    Its card is the other's, with that as its parent, for it acts alike. Raises MbrlError, with nothing added: for a
    damaged file, a version without a model, and predictions that are no longer the same.

    Args:
        task: of the version.
        version: its name, or "current".
        models_dir: the registry; None: models/ below `home_dir()`.
    """
    registry = Registry(models_dir)
    old = registry.resolve(task, version)
    card = old.card()
    old.require_model(card)
    registry.check_writable(task)
    files = old.read_all(card)
    name = registry.next_name(task)
    files[MODEL_FILE], fp32 = rewritten(files[MODEL_FILE], version=name), files[MODEL_FILE]
    if INT8_FILE in files:
        files[INT8_FILE] = rewritten(files[INT8_FILE], fp32, version=name)
    new = card.model_copy(
        update={
            "spec": card.spec.model_copy(update={"version": name, "parent": old.name}),
            "model_sha256": files[MODEL_FILE].sha256,
            "int8_sha256": files[INT8_FILE].sha256 if INT8_FILE in files else None,
            "command": f"mbrl models rewrite {task} {old.name}",
        }
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for path in old.folder.iterdir():
            if path.is_file() and path.name not in (CARD_FILE, *ONNX_FILES):
                shutil.copy2(path, folder / path.name)
        for file_name, file in files.items():
            (folder / file_name).write_bytes(file.content)
        return registry.add(task, folder, new)
