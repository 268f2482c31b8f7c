# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl fit`: a version with models of windows beside its model, loaded without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("mujoco")

from mbrl_controller.base.errors import DatasetError, MbrlError, ModelError, RegistryError
from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.head_loading import load_heads, load_window
from mbrl_controller.models.onnx_density import OnnxDensity
from mbrl_controller.models.onnx_window import OnnxWindow
from mbrl_controller.models.registry import Registry
from mbrl_controller.training.window_fit import FitRequest, run

SMALL = {"hidden": [16], "max_epochs": 2, "symmetries": False, "holdout_fraction": 0.2}


def test_a_version_gets_models_of_windows_and_keeps_its_model(trained_copy: Path, valve_episodes: Path) -> None:
    old = Registry(trained_copy).resolve("valve", "current")
    stages: list[str] = []
    request = FitRequest(
        "valve", ("between", "joint"), episodes=[valve_episodes], models_dir=trained_copy, options=SMALL | {"steps": 3}
    )
    result = run(request, stages.append)
    assert any("reading 12 episodes" in stage for stage in stages)
    version, card = result.version, result.version.check_digest()
    assert Registry(trained_copy).resolve("valve", "current").name == old.name  # not promoted
    assert card.spec.parent == old.name
    assert set(card.heads) == {"between", "joint"}
    assert card.head_names == "between (log), joint (log)"
    assert card.between is not None
    assert card.between.command.startswith("mbrl fit valve --kind between --kind joint --model current --set steps=3")
    assert version.model.read_bytes() == old.model.read_bytes()
    assert "which states lay between" in (version.folder / "report.md").read_text()
    assert result.metrics["between"]["windows"] > result.metrics["between"]["epochs"] > 0

    contract = contract_for("valve")
    between = load_window(version, "between", task=contract.task, action=contract.action)
    assert isinstance(between, OnnxWindow)
    rng = np.random.default_rng(0)
    first, last = rng.normal(0, 0.1, (2, 5, 20))
    answer = between.answer(first, last, rng.normal(0, 0.1, (5, 3, 9)))
    assert answer.mean.shape == (5, 1, 2, 20)
    density = load_window(version, "joint")
    assert isinstance(density, OnnxDensity)
    assert density.spec.horizon == 3
    assert density.spec.limit is not None
    heads = load_heads(version, task=contract.task, action=contract.action, sandbox_rows=2)
    assert heads.joint is not None  # it watches; the other is not loaded to control
    assert (heads.policy, heads.action_free) == (None, None)
    with pytest.raises(ModelError, match="has no model of kind inverse: mbrl fit valve --kind inverse"):
        load_window(version, "inverse")

    again = run(
        FitRequest(
            "valve",
            ("inverse",),
            model=version.name,
            episodes=[valve_episodes],
            models_dir=trained_copy,
            options=SMALL,
        )
    )
    kept = again.version.check_digest()
    assert set(kept.heads) == {"between", "joint", "inverse"}
    assert kept.between == card.between

    version.head("joint").write_bytes(version.head("between").read_bytes())
    with pytest.raises(ModelError, match=r"joint\.onnx"):
        load_window(version, "joint")


def test_what_is_wrong_is_said_before_anything_is_added(
    trained_copy: Path, valve_episodes: Path, tmp_path: Path
) -> None:
    def fit(*kinds: str, **more: object) -> None:
        given = {"episodes": [valve_episodes], "models_dir": trained_copy, "options": SMALL} | more
        run(FitRequest("valve", kinds, **given))  # type: ignore[arg-type]

    before = [version.name for version in Registry(trained_copy).versions("valve")]
    for message, error, more in (
        ("unknown option 'step'|step", MbrlError, {"options": {"step": 3}}),
        ("no version 'v0099'", RegistryError, {"model": "v0099"}),
        ("no episode files", DatasetError, {"episodes": [tmp_path]}),
        ("transitions in a row", DatasetError, {"options": SMALL | {"steps": 50}}),
        ("there is no state", ModelError, {"options": SMALL | {"steps": 1}}),
    ):
        with pytest.raises(error, match=message):
            fit("between", **more)
    assert [version.name for version in Registry(trained_copy).versions("valve")] == before


def test_the_command_names_kinds_that_it_does_not_know(trained_copy: Path) -> None:
    runner = CliRunner()
    for arguments, message in ((["--kind", "nothing"], "unknown kind 'nothing'"), ([], "no kind of model was named")):
        result = runner.invoke(app, ["fit", "valve", "--models-dir", str(trained_copy), *arguments])
        assert result.exit_code == 2
        assert message in result.output
