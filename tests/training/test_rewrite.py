# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl models rewrite`: a version more, whose files predict alike."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.cli.main import app
from mbrl_controller.models.registry import Registry
from mbrl_controller.training import rewrite


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A registry with the valve's version alone."""
    shutil.copytree(share_dir() / "models" / "valve", tmp_path / "models" / "valve")
    (tmp_path / "models" / ".no_fallback").touch()
    return tmp_path / "models"


@pytest.mark.usefixtures("own_int8")
def test_a_version_is_added_and_not_promoted(models: Path) -> None:
    result = CliRunner().invoke(app, ["models", "rewrite", "valve", "--models-dir", str(models)])
    assert result.exit_code == 0, result.output
    registry = Registry(models)
    *_, old, new = registry.versions("valve")
    assert registry.current("valve") == old
    before, after = old.card(), new.check_digest()
    assert (after.spec.version, after.spec.parent) == (new.name, old.name)
    assert (after.evaluation, after.int8_figures) == (before.evaluation, before.int8_figures)
    assert {after.model_sha256, after.int8_sha256}.isdisjoint({before.model_sha256, before.int8_sha256})
    assert {path.name for path in new.folder.iterdir()} == {path.name for path in old.folder.iterdir()}


def test_a_version_without_an_8_bit_file_stays_so(models: Path) -> None:
    registry = Registry(models)
    registry.record_int8("valve", "v0001", None, {})
    new = rewrite.run("valve", "v0001", models_dir=models)
    assert new.check_digest().int8_sha256 is None
    assert not new.int8.exists()


@pytest.mark.parametrize("name", ["model.onnx", "model.int8.onnx"])
def test_of_a_damaged_version_nothing_is_added(models: Path, name: str) -> None:
    before = Registry(models).versions("valve")
    (models / "valve" / "v0001" / name).write_bytes(b"damaged")
    with pytest.raises(ModelError, match="sha256"):
        rewrite.run("valve", "v0001", models_dir=models)
    assert Registry(models).versions("valve") == before
