# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A model file under another version name: the network stays, what the file says of itself changes."""

from __future__ import annotations

from pathlib import Path

import onnx

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.spec import METADATA_KEY, ModelSpec


def copy_as(source: ModelFile, target: Path, version: str, parent: str = "") -> ModelSpec:
    """Write the ONNX file `source` to `target` as `version` with `parent`; its new spec. Raises ModelError."""
    try:
        proto = onnx.load_model_from_string(source.content)
    except Exception as error:  # protobuf's
        raise ModelError(f"{source.path}: cannot be read: {error}") from error
    spec = ModelSpec.from_metadata({entry.key: entry.value for entry in proto.metadata_props}, str(source.path))
    spec = spec.model_copy(update={"version": version, "parent": parent})
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = spec.to_metadata()[METADATA_KEY]
    write_atomically(target, proto.SerializeToString(deterministic=True))
    return spec
