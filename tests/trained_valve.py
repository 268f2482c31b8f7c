# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A valve model trained for a second, and a registry that holds it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .rollout_calls import retrained, roll_out

TINY = {"hidden": [32, 32], "max_epochs": 6, "horizon": 1, "ensemble_size": 2}


@contextmanager
def nothing_shipped(factory: pytest.TempPathFactory) -> Iterator[None]:
    """Registries hold what is put into them, whatever the package ships."""
    nothing = factory.mktemp("nothing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mbrl_controller.models.registry.share_dir", lambda: nothing)
        yield


@pytest.fixture(scope="module", autouse=True)  # not the session's: tests of other folders see what is shipped
def no_shipped_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For all tests of this folder."""
    with nothing_shipped(tmp_path_factory):
        yield


@pytest.fixture(scope="session")
def valve_episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of random valve episodes."""
    pytest.importorskip("mujoco")
    from mbrl_controller.rollouts import collect

    root = tmp_path_factory.mktemp("episodes")
    return roll_out(
        collect.run, "valve", episodes=12, policy="random", episodes_dir=root, session="random", processes=1
    ).folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, valve_episodes: Path) -> Path:
    """A registry folder with one promoted valve version, for all tests: add nothing to it, see `trained_copy`."""
    pytest.importorskip("torch")

    base = tmp_path_factory.mktemp("trained")
    # This one is made before a module's fixtures, and has an 8-bit file whatever MBRL_INT8 says of this run.
    with nothing_shipped(tmp_path_factory), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MBRL_INT8", raising=False)
        result = retrained(
            "valve",
            episodes=[valve_episodes],
            models_dir=base / "models",
            runs_dir=base / "runs",
            force=True,
            options=TINY,
            threads=1,
        )
    assert result.status == "promoted"
    return base / "models"


@pytest.fixture
def trained_copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of that registry, for a test that adds versions."""
    return shutil.copytree(trained, tmp_path / "models")
