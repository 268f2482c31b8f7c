# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Weights and training state on disk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.dynamics.weights import load_arrays


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickled_array_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    made, path = tmp_path / "made", tmp_path / "weights.npz"
    np.savez(path, weights=np.array([Harmful(made)], dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match=r"weights\.npz"):
        load_arrays(path)
    assert not made.exists()
    np.load(path, allow_pickle=True)["weights"]
    assert made.exists()
