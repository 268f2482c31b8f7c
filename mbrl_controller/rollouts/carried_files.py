# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The files that a spec names (a version's model and heads), for workers on machines that do not have them.

Each goes to a machine once, and is kept there under its digest.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.head_loading import HeadFile, HeadFiles
from mbrl_controller.rollouts.episode import EpisodeSpec

Handles = Mapping[str, Any]  # of the object store, by the digest of the content


def store_files(spec: EpisodeSpec, known: dict[str, Any]) -> Handles:
    """Put the files of `spec` into the object store, unless `known` has them; their handles. Raises ModelError."""
    from mbrl_controller.base.ray_pool import store

    handles = {}
    for path, digest in _named(spec):
        file = ModelFile.read(path, digest)
        if file.sha256 not in known:
            known[file.sha256] = store(file.content)
        handles[file.sha256] = known[file.sha256]
    return handles


def with_local_files(spec: EpisodeSpec, handles: Handles) -> EpisodeSpec:
    """`spec` with the paths of its files on this machine; raises ModelError, OSError."""

    def here(head: HeadFile | None) -> HeadFile | None:
        return head and HeadFile(path=_local(head.path, head.sha256, handles), sha256=head.sha256)

    if spec.model is None:
        model, digest = None, spec.model_sha256
    else:
        digest = spec.model_sha256 or next(iter(handles))  # a spec without a digest names its model first
        model = _local(spec.model, digest, handles)
    heads = HeadFiles(**{kind: here(getattr(spec.heads, kind)) for kind in HeadFiles.model_fields})
    return spec.model_copy(update={"model": model, "model_sha256": digest, "heads": heads})


def _named(spec: EpisodeSpec) -> list[tuple[Path, str | None]]:
    heads = [head for kind in HeadFiles.model_fields if (head := getattr(spec.heads, kind)) is not None]
    model = [] if spec.model is None else [(spec.model, spec.model_sha256)]
    return [*model, *((head.path, head.sha256) for head in heads)]


def _local(path: Path, digest: str, handles: Handles) -> Path:
    from mbrl_controller.base.ray_pool import fetch

    folder = Path(tempfile.gettempdir()) / f"mbrl-files-{os.getuid()}" / digest
    target = folder / path.name
    try:
        ModelFile.read(target, digest)
    except ModelError:  # it is not there yet, or not whole
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(target, fetch(handles[digest]))
    return target
