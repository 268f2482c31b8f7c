# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""config/controller.yaml and the table of parameters say the same."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from mbrl_controller.base.errors import ContractError, MbrlError, ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract, parse_contract
from mbrl_controller.models.loading import BACKENDS
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.nodes.controller_model import describe, identity, load_beside, load_version
from mbrl_controller.nodes.controller_options import (
    RENAMED,
    all_planner_specs,
    check_rate,
    find_contract,
    general_specs,
    read_options,
)

FILE = share_dir() / "config" / "controller.yaml"


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for key, value in tree.items():
        rows |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return rows


def defaults() -> dict[str, Any]:
    return {spec.name: spec.default for spec in [*general_specs(), *all_planner_specs()]}


def test_the_file_names_known_parameters_with_their_defaults() -> None:
    given = flat(yaml.safe_load(FILE.read_text())["/**"]["controller"]["ros__parameters"])
    known = defaults()
    assert {name: known[name] for name in given} == given
    assert [name for name, value in given.items() if type(value) is not type(known[name])] == []


def test_the_file_mentions_every_general_parameter_and_which_are_live() -> None:
    text = FILE.read_text()
    for spec in general_specs():
        leaf = spec.name if spec.name.startswith("risk.") else spec.name.rsplit(".", 1)[-1]
        lines = [line for line in text.splitlines() if line.strip(" #").startswith(leaf + ":")]
        assert len(lines) == 1, spec.name
        assert ("[live]" in lines[0]) is spec.live, spec.name


def test_the_defaults_make_options() -> None:
    options = read_options(defaults())
    assert options.make_planner(3).name == "pddm"


def test_a_rate_that_is_not_the_models_is_refused() -> None:
    check_rate(0.0, 0.1)
    check_rate(10.0, 0.1)
    with pytest.raises(Exception, match=r"20.0 Hz, but the contract's control period is 0.1 s \(10 Hz\)"):
        check_rate(20.0, 0.1)


def test_the_backend_that_is_asked_for_serves_the_model() -> None:
    pytest.importorskip("torch")
    contract = load_contract(share_dir() / "config" / "claw_valve.yaml")
    changed = {"planner.num_samples": 8, "models_dir": str(share_dir() / "models"), "precision": "fp32"}
    options = read_options(defaults() | changed)
    served = [load_beside(contract, replace(options, backend=name)) for name in BACKENDS]
    assert [type(model.ensemble).__name__ for model in served] == ["OnnxEnsemble", "TorchEnsemble"]
    assert served[0].version == served[1].version
    first, second = (
        model.rollout(np.zeros(len(contract.task.state)), np.zeros((8, 7, len(contract.action)))) for model in served
    )
    np.testing.assert_allclose(second, first, atol=1e-4)


@pytest.mark.usefixtures("own_int8")
def test_the_8_bit_file_serves_or_its_refusal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = load_contract(share_dir() / "config" / "claw_valve.yaml")
    shutil.copytree(share_dir() / "models" / "valve", tmp_path / "valve")
    options = read_options(defaults() | {"planner.num_samples": 8, "models_dir": str(tmp_path)})
    version = Registry(tmp_path).current("valve")

    def served(precision: str) -> dict[str, object]:
        model = load_version(contract, replace(options, precision=precision))
        file = version.int8 if model.ensemble.spec.precision == "int8" else version.model
        assert model.ensemble.path == file
        assert identity(model)["model digest"] == file_sha256(file)
        return identity(model)

    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "home"))
    faster = {version.model: 1.0, version.int8: 0.5}
    monkeypatch.setattr("mbrl_controller.models.selection.time_in_sandbox", lambda file, *_: faster[file.path])
    for asked, expected in (("auto", "int8"), ("int8", "int8"), ("fp32", "fp32")):
        values = served(asked)
        assert (values["model precision"], values["model fallback"]) == (expected, "")
    assert "8 bit" in str(served("auto")["model file chosen"])
    monkeypatch.setattr("mbrl_controller.models.onnx_ensemble.INT8_RMS_TOLERANCE", 1e-9)
    values = served("auto")
    assert (values["model version"], values["model precision"]) == (version.name, "fp32")
    assert "on this processor" in str(values["model fallback"])
    with pytest.raises(ModelError, match="on this processor"):
        load_version(contract, replace(options, precision="int8"))
    version.int8.write_bytes(b"damaged")
    assert "sha256" in str(served("auto")["model fallback"])


def test_a_version_of_another_robot_is_loaded_only_if_asked_for() -> None:
    text = (share_dir() / "config" / "adroit_baoding.yaml").read_text()
    shadow = parse_contract(text.replace("robot: adroit", "robot: shadow"))
    given = defaults() | {"planner.num_samples": 8, "model_version": "v0002", "precision": "fp32",
                          "models_dir": str(share_dir() / "models")}  # fmt: skip
    with pytest.raises(ModelError, match="v0002 is of robot 'adroit', the contract says 'shadow'"):
        load_version(shadow, read_options(given))
    assert load_version(shadow, read_options(given | {"mix": "robots"})).version == "v0002"


@pytest.mark.parametrize("text", ["9" * 5000, "/" + "9" * 5000])
def test_a_contract_with_a_name_that_no_file_can_have_is_no_crash(text: str) -> None:
    with pytest.raises(ContractError):
        load_contract(find_contract(text))


def test_planner_parameters_may_have_their_names_of_version_0_1() -> None:
    """Every one is declared under its new name."""
    assert set(RENAMED.values()) <= defaults().keys()
    assert not RENAMED.keys() & defaults().keys()


def test_the_simulator_plans_where_it_is_asked_for_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mujoco")
    contract = load_contract(share_dir() / "config" / "claw_valve.yaml")
    changed = {"planner.num_samples": 4, "dynamics": "identified", "model_version": "nominal"}
    options = read_options(defaults() | changed)
    model = load_version(contract, options)
    assert model.version == "nominal"
    assert "set delay_s" in describe(model)
    states = model.rollout(np.zeros(len(contract.task.state)), np.zeros((4, 2, len(contract.action))))
    assert np.isfinite(states).all()
    with pytest.raises(MbrlError, match="dynamics: learned alone"):
        read_options(defaults() | changed | {"policy": "distilled"})
    monkeypatch.setitem(sys.modules, "mbrl_controller.simulation.identified", None)
    with pytest.raises(MbrlError, match="pip install"):
        load_version(contract, options)
