# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Opens the ONNX file of a model or of a head, and compares its inputs and outputs with what its description says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime as ort

from mbrl_controller.base.errors import MbrlError, ModelError, one_line
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.onnx_session import open_session
from mbrl_controller.models.onnx_validation import validate_onnx

Shapes = Mapping[str, Sequence[int | None]]  # by name; None: any number


def open_file(file: ModelFile, threads: int) -> tuple[ort.InferenceSession, dict[str, str]]:
    """A CPU session and the file's metadata; raises ModelError with the file and the reason."""
    validate_onnx(file.content, file.path)
    try:
        session = open_session(file.content, threads)
        return session, dict(session.get_modelmeta().custom_metadata_map)
    except MbrlError:  # a wrong MBRL_INT8 is not the file's fault
        raise
    except Exception as error:  # ONNX Runtime's errors have no other common base
        raise ModelError(f"{file.path}: ONNX Runtime cannot load it: {one_line(error)}") from error


def check_tensors(session: ort.InferenceSession, path: Path, inputs: Shapes, outputs: Shapes) -> None:
    """Raises ModelError where names or shapes are not these, or a tensor is not of floats."""
    try:
        for kind, tensors, expected in (
            ("inputs", session.get_inputs(), inputs),
            ("outputs", session.get_outputs(), outputs),
        ):
            found = {t.name: [d if isinstance(d, int) else None for d in t.shape] for t in tensors}
            if found != expected:
                raise ModelError(f"{path}: its {kind} are {found}, its description says {expected}")
            wrong = [f"{t.name} is {t.type}" for t in tensors if t.type != "tensor(float)"]
            if wrong:
                raise ModelError(f"{path}: {kind} must be tensor(float), but {', '.join(wrong)}")
    except UnicodeDecodeError as error:  # ONNX Runtime takes any bytes for a name
        raise ModelError(f"{path}: its inputs or outputs have names that are no text") from error
