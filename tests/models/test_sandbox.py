# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Trying out a model file in another process: what it costs there is not paid here."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.models import sandbox as trial
from mbrl_controller.models.files import ModelFile

onnx = pytest.importorskip("onnx")

from ..outer_product import insert_outer_product

SHIPPED = share_dir() / "models" / "valve" / "v0001" / "model.onnx"


def with_outer_product(n: int) -> bytes:
    """The shipped model, and on the way to its result an array of n * n numbers of which the file holds 2 n."""
    model = onnx.load(SHIPPED)
    insert_outer_product(model, n)
    return model.SerializeToString()


def test_a_good_model_passes() -> None:
    trial.check_in_sandbox(ModelFile.read(SHIPPED), 8, 2)


def test_a_file_that_asks_for_more_memory_than_is_granted_is_refused() -> None:
    trial.check_in_sandbox(ModelFile.of("small.onnx", with_outer_product(1000)), 8, 2)
    with pytest.raises(ModelError, match=r"huge\.onnx: .*alloc"):
        trial.check_in_sandbox(ModelFile.of("huge.onnx", with_outer_product(40_000)), 8, 2)


@pytest.mark.parametrize(("limit", "reason"), [("PATIENCE_S", "did not end"), ("program", "exit status 7 oh")])
def test_a_trial_that_does_not_end_or_crashes_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, reason: str
) -> None:
    if limit == "PATIENCE_S":
        monkeypatch.setattr(trial, limit, 1e-3)
    else:
        program = tmp_path / "python"
        program.write_text("#!/bin/sh\ncat > /dev/null; echo oh >&2; exit 7\n")
        program.chmod(0o755)
        monkeypatch.setattr(trial.sys, "executable", str(program))
    with pytest.raises(ModelError, match=rf"model\.onnx: .*{reason}"):
        trial.check_in_sandbox(ModelFile.read(SHIPPED), 8, 2)
