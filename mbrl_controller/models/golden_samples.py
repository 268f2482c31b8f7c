# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Golden samples: inputs and expected outputs in an 8-bit model file, checked each time it is loaded."""

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

# Largest error of an 8-bit graph against its network: root mean square over samples, members and entries, in units of
# one step's change. The shipped models have .02 to .03; on a processor that overflows, the error is far above.
INT8_RMS_TOLERANCE = 0.05


@dataclass(frozen=True)
class GoldenSamples:
    """Samples on which an 8-bit graph must reproduce its network's predictions.

    ONNX Runtime multiplies 8-bit numbers with instructions that overflow silently on some processors (x86 without
    VNNI); such a processor must not serve the graph.
    """

    state: NDArray[np.float32]  # [N, S]
    action: NDArray[np.float32]  # [N, A]
    next_state: NDArray[np.float32]  # [E, N, S], of the network

    def to_metadata(self) -> dict[str, str]:
        """Metadata entries to store in the ONNX file."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        content = {
            name: {"shape": value.shape, "float32": base64.b64encode(value.astype("<f4").tobytes()).decode()}
            for name, value in parts.items()
        }
        return {PROBE_KEY: json.dumps(content)}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], spec: ModelSpec, where: str) -> GoldenSamples:
        """The samples in an ONNX file's metadata; raises ModelError if they do not fit `spec`."""
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
