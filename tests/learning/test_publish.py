# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What goes with a version that is kept from a run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("onnx")

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.learning.publish import publish
from mbrl_controller.models.heads import HeadCard, HeadSpec
from mbrl_controller.models.new_heads import add_heads
from mbrl_controller.models.registry import Registry

from ..linear_head import linear_head_bytes


def test_heads_are_kept_with_their_model_and_damaged_ones_are_not(tmp_path: Path) -> None:
    valve, files = contract_for("valve", None), tmp_path / "files"
    spec = HeadSpec.of("policy", valve.task, valve.file.robot, valve.action, (1,), ())
    content = linear_head_bytes(spec, np.zeros((len(valve.task.state), len(valve.action))))
    files.mkdir()
    (files / "policy.onnx").write_bytes(content)
    head = HeadCard(sha256=hashlib.sha256(content).hexdigest(), kind="distilled")
    runs = Registry(tmp_path / "run", shipped=share_dir() / "models")
    best = add_heads(runs, "valve", "v0001", files, {"policy": head}, created="then")
    (tmp_path / "plan.json").write_text("{}")
    learned = SimpleNamespace(
        best_version=lambda: best,
        best=SimpleNamespace(env_steps=7),
        plan=SimpleNamespace(task="valve", seed=0, base=SimpleNamespace(version="")),
        folder=tmp_path,
    )
    kept = publish(learned, tmp_path / "models")  # type: ignore[arg-type]
    assert kept.check_digest().policy == head
    assert kept.head("policy").read_bytes() == content
    before = Registry(tmp_path / "models").versions("valve")
    best.head("policy").write_bytes(content + b" ")
    with pytest.raises(ModelError, match=r"policy\.onnx"):
        publish(learned, tmp_path / "models")  # type: ignore[arg-type]
    assert Registry(tmp_path / "models").versions("valve") == before
