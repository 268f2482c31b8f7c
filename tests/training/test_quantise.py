# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The 8-bit file beside a version's fp32 one: kept when it plans alike, refused with the reason when it does not."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from mbrl_controller.base.errors import DatasetError, MbrlError, ModelError, RegistryError
from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import PlannerDefaults, contract_for, planner_defaults
from mbrl_controller.dynamics import export, quantisation
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.episodes.reader import read_info
from mbrl_controller.models.card import INT8_FILE, MODEL_FILE, Version
from mbrl_controller.models.disagreement import disagreement
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.selection import select_model_file
from mbrl_controller.rollouts import collect, evaluate
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.training import acceptance, quantise
from mbrl_controller.training.dataset import episode_files, load_dataset

from ..rollout_calls import roll_out

pytestmark = pytest.mark.usefixtures("own_int8")
SHORT = {"episodes": 1, "seconds": 0.3, "processes": 1, "planner_options": {"num_samples": 8, "horizon": 2}}


@pytest.fixture(scope="module")
def data(valve_episodes: Path) -> tuple[TransitionSet, TransitionSet]:
    """(train, held out)."""
    return load_dataset(episode_files([valve_episodes]), contract_for("valve")).data.split_by_episode(0.2)


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> Path:
    """A registry of this test's own, whose version has an 8-bit file."""
    return shutil.copytree(trained, tmp_path / "models")


@pytest.fixture
def version(models: Path) -> Version:
    return Registry(models).current("valve")


@pytest.fixture
def folder(version: Version, tmp_path: Path) -> Path:
    """A folder with an fp32 file only."""
    path = tmp_path / "folder"
    path.mkdir()
    shutil.copyfile(version.model, path / MODEL_FILE)
    return path


def defaults() -> PlannerDefaults:
    chosen = planner_defaults("valve", "pddm")
    return chosen.model_copy(update={"planner_options": {**chosen.planner_options, "num_samples": 100}})


def add(folder: Path, data: tuple[TransitionSet, TransitionSet]) -> acceptance.AcceptanceResult:
    return quantise.add_int8(folder, contract_for("valve"), defaults(), *data)


def damage(file: Path) -> None:
    """One bit of a weight: ONNX Runtime would load it."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_model_that_plans_alike_gets_its_file_with_a_limit_of_its_own(folder: Path, data) -> None:
    before = (folder / MODEL_FILE).read_bytes()
    result = add(folder, data)
    assert result.passed, result.failed_checks
    assert {path.name for path in folder.iterdir()} == {MODEL_FILE, INT8_FILE}
    assert (folder / MODEL_FILE).read_bytes() == before
    reference, other = (OnnxEnsemble.load(folder / name) for name in (MODEL_FILE, INT8_FILE))
    assert (reference.spec.precision, other.spec.precision) == ("fp32", "int8")
    held_out = data[1]
    apart = disagreement(other.predict(held_out.state, held_out.action), other.delta_scale)
    assert other.spec.disagreement_limit == pytest.approx(3 * np.quantile(apart, 0.999), rel=1e-3)
    assert other.spec.disagreement_limit == result.metrics["disagreement_limit"]
    same = {"precision", "metrics", "disagreement_limit"}
    assert other.spec.model_dump(exclude=same) == reference.spec.model_dump(exclude=same)


def test_disagreement_survives(folder: Path, data) -> None:
    figures = add(folder, data).metrics
    assert min(figures["disagreement_spearman"], figures["disagreement_pearson"]) > 0.95
    assert 0.8 < figures["disagreement_p999_ratio"] < 1.25


def test_the_same_files_and_data_give_the_same_bytes(folder: Path, data) -> None:
    add(folder, data)
    first = (folder / INT8_FILE).read_bytes()
    add(folder, data)
    assert (folder / INT8_FILE).read_bytes() == first


def test_layers_that_are_cut_are_refused_with_the_number(folder: Path, data, monkeypatch) -> None:
    """Whatever the export's own check would say: the comparison sees what planning needs."""
    ranges = quantisation._ranges
    monkeypatch.setattr(quantisation, "_ranges", lambda *arguments: [0.1 * r for r in ranges(*arguments)])
    monkeypatch.setattr(export, "check_export", lambda *arguments: 0.0)
    monkeypatch.setattr(OnnxEnsemble, "_check_golden_samples", lambda *arguments: None)
    result = add(folder, data)
    assert not result.passed
    assert "needed)" in result.failed_checks
    assert result.metrics["rank_median"] < acceptance.MIN_RANK
    assert [path.name for path in folder.iterdir()] == [MODEL_FILE]


def test_an_export_that_fails_is_a_verdict_without_a_path(folder: Path, data, monkeypatch) -> None:
    monkeypatch.setattr(export, "INT8_RMS_TOLERANCE", 1e-9)
    result = add(folder, data)
    assert result.failed_checks.startswith("the exported int8 graph differs")
    assert str(folder) not in result.failed_checks
    assert [path.name for path in folder.iterdir()] == [MODEL_FILE]


def test_a_processor_that_overflows_is_a_verdict(folder: Path, data, monkeypatch) -> None:
    monkeypatch.setattr("mbrl_controller.models.onnx_ensemble.INT8_RMS_TOLERANCE", 1e-9)
    result = add(folder, data)
    assert result.failed_checks.startswith("on this processor")
    assert [path.name for path in folder.iterdir()] == [MODEL_FILE]


def test_data_without_rows_is_an_error(folder: Path, data) -> None:
    train, held_out = data
    with pytest.raises(DatasetError, match="validation"):
        add(folder, (train, held_out.of_episodes([])))
    with pytest.raises(DatasetError, match="calibrate"):
        add(folder, (train.of_episodes([]), held_out))


def test_a_version_is_served_in_8_bit_unless_asked_otherwise(models: Path, version: Version) -> None:
    card = version.check_digest()
    for asked, file, precision, digest in (
        ("auto", version.int8, "int8", card.int8_sha256),
        ("int8", version.int8, "int8", card.int8_sha256),
        ("fp32", version.model, "fp32", card.model_sha256),
    ):
        prepared = resolve(RolloutConfig("valve", models_dir=models, precision=asked))
        assert (prepared.spec.model, prepared.precision, prepared.digest) == (file, precision, digest)
        assert prepared.fallback == ""
    torch = resolve(RolloutConfig("valve", models_dir=models, backend="torch"))
    assert (torch.spec.model, torch.precision) == (version.model, "fp32")
    with pytest.raises(ModelError, match="torch is served the fp32 file only"):
        resolve(RolloutConfig("valve", models_dir=models, backend="torch", precision="int8"))
    with pytest.raises(MbrlError, match="auto, fp32, int8"):
        resolve(RolloutConfig("valve", models_dir=models, precision="fp16"))


def test_a_damaged_file_is_refused_and_auto_serves_fp32(models: Path, version: Version) -> None:
    damage(version.int8)
    with pytest.raises(ModelError, match=r"model\.int8\.onnx: its sha256"):
        version.check_digest()
    prepared = resolve(RolloutConfig("valve", models_dir=models))
    assert (prepared.spec.model, prepared.precision) == (version.model, "fp32")
    assert "sha256" in prepared.fallback
    with pytest.raises(ModelError, match="sha256"):
        resolve(RolloutConfig("valve", models_dir=models, precision="int8"))
    damage(version.model)
    with pytest.raises(ModelError, match=r"model\.onnx: its sha256"):
        select_model_file(version)


def test_where_the_processor_overflows_auto_serves_fp32(models: Path, version: Version, monkeypatch) -> None:
    monkeypatch.setattr("mbrl_controller.models.onnx_ensemble.INT8_RMS_TOLERANCE", 1e-9)
    chosen = select_model_file(version)
    assert (chosen.file.path, chosen.precision) == (version.model, "fp32")
    assert "on this processor" in chosen.fallback
    report = roll_out(evaluate.run, "valve", models_dir=models, **SHORT)
    assert report["precision"] == "fp32"
    assert "on this processor" in report["precision_fallback"]
    with pytest.raises(ModelError, match="on this processor"):
        roll_out(evaluate.run, "valve", models_dir=models, precision="int8", **SHORT)


def test_reports_cards_and_episodes_name_what_was_served(models: Path, version: Version, tmp_path: Path) -> None:
    for precision in ("int8", "fp32"):
        report = roll_out(evaluate.run, "valve", models_dir=models, precision=precision, on_card=True, **SHORT)
        assert (report["precision"], report["precision_fallback"]) == (precision, None)
        card = version.check_digest()
        assert card.evaluation_precision == precision
        assert card.int8_sha256 == hashlib.sha256(version.int8.read_bytes()).hexdigest()
    done = roll_out(collect.run, "valve", models_dir=models, episodes_dir=tmp_path, session="s", **SHORT)
    info = read_info(next(done.folder.iterdir()))
    assert (info.extra["precision"], info.model_digest) == ("int8", version.card().int8_sha256)
    assert roll_out(evaluate.run, "valve", policy="hold", **{**SHORT, "planner_options": {}})["precision"] is None


def command(models: Path, *arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["models", *map(str, arguments), "--models-dir", str(models)])
    return result.exit_code, result.output


def test_the_command_adds_the_file_to_a_version_that_is_there(models: Path, version: Version, valve_episodes) -> None:
    Registry(models).record_int8("valve", version.name, None, {})
    assert not version.int8.exists()
    before = version.model.read_bytes()
    code, output = command(models, "quantise", "valve", "--episodes", valve_episodes)
    assert code == 0, output
    assert "v0001: model.int8.onnx added" in output
    assert "not the episodes" not in output
    card = version.check_digest()
    assert version.path_for() == version.int8
    assert version.model.read_bytes() == before
    assert card.int8_figures["elite_median"] >= acceptance.MIN_ELITES
    assert str(models) not in card.model_dump_json()
    assert not {path.name for path in version.folder.iterdir() if path.suffix == ".part"}
    assert "int8" in command(models, "list", "valve")[1]


def test_the_command_says_why_there_is_none(models: Path, version: Version, valve_episodes, monkeypatch) -> None:
    monkeypatch.setattr(acceptance, "MIN_ELITES", 1.1)
    some = sorted(valve_episodes.iterdir())[:4]
    code, output = command(models, "quantise", "valve", "v0001", *(a for f in some for a in ("--episodes", f)))
    assert code == 1
    assert "not the episodes that it learnt from" in output
    assert "v0001: stays fp32: elites agree in" in output
    card = version.check_digest()
    assert card.int8_sha256 is None
    assert "at least 1.1 needed" in card.int8_refused
    assert not version.int8.exists()
    assert version.path_for() == version.model
    with pytest.raises(ModelError, match=r"at least 1\.1 needed"):
        version.path_for("int8")
    assert "fp32 (elites" in " ".join(command(models, "list", "valve")[1].split())


def test_a_shipped_version_is_left_alone(models: Path, tmp_path: Path, valve_episodes, monkeypatch) -> None:
    monkeypatch.setattr("mbrl_controller.models.registry.share_dir", lambda: models.parent)
    with pytest.raises(RegistryError, match="shipped version"):
        quantise.run("valve", episodes=[valve_episodes], models_dir=tmp_path / "mine")
    with pytest.raises(DatasetError, match="no episode files"):
        quantise.run("valve", episodes=[tmp_path / "models"], models_dir=models)


def test_a_version_that_the_contract_does_not_fit_is_refused_before_its_episodes_are_read(
    models: Path, tmp_path: Path, monkeypatch
) -> None:
    contract = tmp_path / "slower.yaml"
    contract.write_text(contract_for("valve").text.replace("control_period_s: 0.1", "control_period_s: 0.2"))
    monkeypatch.setattr(quantise, "load_dataset", lambda *_: pytest.fail("it began to read"))
    with pytest.raises(ModelError, match=r"of robot claw does not fit: its control period is 0.1 s"):
        quantise.run("valve", episodes=[tmp_path], models_dir=models, contract=contract)
