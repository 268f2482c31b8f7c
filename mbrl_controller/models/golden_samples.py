# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Rows that an 8-bit model file carries, so that it can be checked wherever it is loaded."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.spec import ModelSpec

PROBE_KEY = "mbrl_controller_probe"

# How far an 8-bit graph may lie from the network it was made from: root mean square over rows, members and entries, in
# units of one step's change. Those of the shipped models lie at .02 to .03; a processor that overflows, far above.
INT8_RMS_TOLERANCE = 0.05


@dataclass(frozen=True)
class Probe:
    """Rows on which an 8-bit graph must repeat its network's predictions, wherever it is loaded.

    ONNX Runtime multiplies 8-bit numbers with instructions that overflow silently on some processors (x86 without
    VNNI); there the graph must not be served.
    """

    state: NDArray[np.float32]  # [N, S]
    action: NDArray[np.float32]  # [N, A]
    next_state: NDArray[np.float32]  # [E, N, S], the network's

    def to_metadata(self) -> dict[str, str]:
        """Metadata entries to store in the ONNX file."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        content = {
            name: {"shape": value.shape, "float32": base64.b64encode(value.astype("<f4").tobytes()).decode()}
            for name, value in parts.items()
        }
        return {PROBE_KEY: json.dumps(content)}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], spec: ModelSpec, where: str) -> Probe:
        """The probe in an ONNX file's metadata; ModelError if it is not one for `spec`."""
        S, A = len(spec.state_names), len(spec.action_names)
        try:
            content = json.loads(metadata[PROBE_KEY])
            state, action, after = (
                np.frombuffer(base64.b64decode(content[f.name]["float32"]), "<f4").reshape(content[f.name]["shape"])
                for f in fields(cls)
            )
            N = len(state)
            if not N or (state.shape, action.shape, after.shape) != ((N, S), (N, A), (spec.ensemble_size, N, S)):
                raise ValueError("its sizes are not the model's")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ModelError(f"{where}: an int8 model needs the rows it is checked on: {error}") from error
        return cls(state, action, after)

    def error(self, predicted: NDArray[Any], scale: NDArray[Any]) -> float:
        """Root mean square of `predicted` [E, N, S] against the network's, in units of `scale` [S]."""
        return float(np.sqrt(np.mean(np.square((predicted - self.next_state) / scale))))
