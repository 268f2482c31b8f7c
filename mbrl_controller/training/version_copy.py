# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A version's files under another name, for another registry."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.models.card import CARD_FILE, INT8_FILE, MODEL_FILE, ONNX_FILES, ModelCard, Version
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.head_loading import read_heads
from mbrl_controller.models.registry import file_sha256
from mbrl_controller.models.spec import METADATA_KEY, ModelSpec


def copy_files(version: Version, card: ModelCard, files: Path, name: str) -> ModelCard:
    """Copy the files of `version`, whose card is `card`, to the folder `files`, as version `name` without a parent.

    Returns the card that fits the copies, which is not written. Raises ModelError.
    """
    for path in version.folder.iterdir():
        if path.is_file() and path.name not in (CARD_FILE, *ONNX_FILES):
            shutil.copy2(path, files / path.name)
    spec = _copy_as(version.read(version.model, card), files / MODEL_FILE, name)
    for head in read_heads(version, card).values():
        (files / head.path.name).write_bytes(head.content)
    int8 = None
    if card.int8_sha256:
        _copy_as(version.read(version.int8, card), files / INT8_FILE, name)
        int8 = file_sha256(files / INT8_FILE)
    digests = {"model_sha256": file_sha256(files / MODEL_FILE), "int8_sha256": int8}
    return card.model_copy(update={"spec": spec, **digests})


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
