# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Named arrays and a JSON note in one .npz file, without pickle, written atomically."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.files import write_atomically

_NOTE = "note.json"

Weights = dict[str, Tensor]


def save_arrays(path: Path, arrays: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> None:
    """Write tensors and a JSON note."""
    content = {name: value.detach().cpu().numpy() for name, value in arrays.items()}
    content[_NOTE] = np.frombuffer(json.dumps(note or {}).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **content)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def load_arrays(path: Path) -> tuple[Weights, dict[str, Any]]:
    """Read tensors and note of `save_arrays`; raises ModelError naming the file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        note = json.loads(arrays.pop(_NOTE).tobytes())
        return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}, note
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: not a weights file, or damaged ({error})") from error
