# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What `mbrl models` says of a version's policy and value."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.card import ModelCard
from mbrl_controller.models.heads import HeadCard, HeadSpec
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import ModelSpec

from ..linear_head import linear_head_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A registry with a version that has a policy alone."""
    valve, files = contract_for("valve", None), tmp_path / "files"
    spec = HeadSpec.of("policy", valve.task, valve.file.robot, valve.action, (1,), ())
    content = linear_head_bytes(spec, np.zeros((len(valve.task.state), len(valve.action))))
    files.mkdir()
    (files / "policy.onnx").write_bytes(content)
    own = ModelSpec.of(valve.task, valve.file.robot, valve.action, 0, ()).model_copy(update={"version": "v0001"})
    head = HeadCard(sha256=hashlib.sha256(content).hexdigest(), kind="sac", figures={"error": 0.25})
    Registry(tmp_path / "models").add("valve", files, ModelCard(spec=own, policy=head))
    return tmp_path / "models"


def test_a_versions_heads_are_listed_and_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    listed = CliRunner().invoke(app, ["models", "list", "valve", "--models-dir", str(folder)])
    assert "policy (sac)" in listed.output
    shown = CliRunner().invoke(app, ["models", "show", "valve", "v0001", "--models-dir", str(folder)])
    card = json.loads(shown.output)
    assert (card["policy"]["figures"], card["value"], card["model_sha256"]) == ({"error": 0.25}, None, None)


def test_a_damaged_head_is_not_shown_as_whole(folder: Path) -> None:
    file = folder / "valve" / "v0001" / "policy.onnx"
    file.write_bytes(file.read_bytes() + b" ")
    shown = CliRunner().invoke(app, ["models", "show", "valve", "v0001", "--models-dir", str(folder)])
    assert shown.exit_code != 0
    assert "policy.onnx" in shown.output


def test_a_policy_alone_has_nothing_to_quantise(folder: Path) -> None:
    done = CliRunner().invoke(app, ["models", "quantise", "valve", "v0001", "--models-dir", str(folder)])
    assert done.exit_code != 0
    assert "only a policy" in " ".join(done.output.split())
