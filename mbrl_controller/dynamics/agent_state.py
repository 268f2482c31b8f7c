# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""All that decides how the training of an agent goes on, in one file without pickle: networks, optimisers, data, random
numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.weights import load_arrays, save_arrays

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class AgentState:
    """What is saved, by name: `tensors` are single ones, such as an entropy coefficient."""

    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path, arrays: Mapping[str, NDArray[Any]], note: Mapping[str, Any]) -> None:
        """Write all of it, `arrays` of the caller, and a JSON note, in one step. Raises OSError."""
        content: dict[str, Tensor] = {f"tensor.{name}": value for name, value in self.tensors.items()}
        for name, module in self.modules.items():
            content |= {f"module.{name}.{key}": value for key, value in module.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            for i, moments in optimiser.state_dict()["state"].items():
                content |= {f"optimiser.{name}.{i}.{key}": torch.as_tensor(value) for key, value in moments.items()}
        content["random.torch"] = torch.get_rng_state()
        # Stable-Baselines3's buffers draw from the one stream that all share.
        generator, words, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
        content["random.numpy"] = torch.from_numpy(np.asarray(words).astype(np.int64))
        content |= {f"array.{name}": torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        save_arrays(path, content, {"numpy": [generator, *rest], "own": dict(note)})

    @torch.no_grad()
    def restore(self, path: Path) -> tuple[Arrays, dict[str, Any]]:
        """Load what `save` wrote, random numbers too; returns the caller's arrays and note.

        Raises ModelError for a damaged file, and one of other networks.
        """
        content, note = load_arrays(path)
        try:
            for name, tensor in self.tensors.items():
                tensor.copy_(content[f"tensor.{name}"])
            for name, module in self.modules.items():
                module.load_state_dict(_below(content, f"module.{name}."))
            for name, optimiser in self.optimisers.items():
                state: dict[int, dict[str, Tensor]] = {}
                for key, value in _below(content, f"optimiser.{name}.").items():
                    index, _, quantity = key.partition(".")
                    state.setdefault(int(index), {})[quantity] = value
                optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
            torch.set_rng_state(content["random.torch"])
            generator, *rest = note["numpy"]
            words = content["random.numpy"].numpy().astype(np.uint32)
            np.random.set_state((generator, words, *rest))  # noqa: NPY002
            return {name: value.numpy() for name, value in _below(content, "array.").items()}, dict(note["own"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: not the state of this training: {error}") from error


def layers_of(module: nn.Module) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weights [out, in] and biases [out] of a module's linear layers, in order."""
    found = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy()) for layer in found]


def use_threads(threads: int) -> None:
    """How many threads torch uses in this process."""
    torch.set_num_threads(threads)


def _below(content: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in content.items() if name.startswith(prefix)}
