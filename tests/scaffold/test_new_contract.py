# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A first contract from a model file: usable as it is, or with what is missing said."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mbrl_controller.base.errors import ContractError
from mbrl_controller.cli.main import app
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.contract.findings import static_findings
from mbrl_controller.scaffold import new_contract

URDF = """<robot name="hand">
  <joint name="first" type="revolute"><limit lower="-0.5" upper="1.25" velocity="2"/></joint>
  <joint name="second" type="revolute"><limit lower="0.26" upper="1.4" velocity="7"/></joint>
</robot>"""
MJCF = """<mujoco><worldbody>
  <body><joint name="first" range="-30 60"/><geom size=".01"/></body>
  <body name="ball" pos="0 0 1"><freejoint/><geom size=".01"/></body>
</worldbody><actuator><position joint="first" kp="1"/></actuator></mujoco>"""


@pytest.fixture
def urdf(tmp_path: Path) -> Path:
    path = tmp_path / "my hand.urdf"
    path.write_text(URDF)
    return path


@pytest.fixture
def mjcf(tmp_path: Path) -> Path:
    path = tmp_path / "hand.xml"
    path.write_text(MJCF)
    return path


def test_what_the_command_writes_loads_and_has_no_findings(urdf: Path, tmp_path: Path) -> None:
    written = tmp_path / "hand.yaml"
    done = CliRunner().invoke(app, ["contract", "new", "--urdf", str(urdf), "-o", str(written)])
    assert done.exit_code == 0, done.output
    contract = load_contract(written)
    assert (contract.file.robot, contract.task.name) == ("my_hand", "reach")
    assert contract.action.lower.tolist() == [-0.5, 0.26]
    assert contract.action.neutral.tolist() == [0.0, 0.26]
    assert contract.action.max_rate.tolist() == [2.0, 3.0]
    assert not static_findings(contract)
    assert CliRunner().invoke(app, ["contract", "check", str(written)]).exit_code == 0
    again = CliRunner().invoke(app, ["contract", "new", "--urdf", str(urdf), "-o", str(written)])
    assert again.exit_code == 2
    assert load_contract(written).digest == contract.digest


def test_without_a_file_the_text_is_printed_as_it_is(urdf: Path) -> None:
    done = CliRunner().invoke(app, ["contract", "new", "--urdf", str(urdf), "--robot", "claw"])
    assert done.output.rstrip() == new_contract.run(urdf=urdf, robot="claw").text.rstrip()


def test_reach_leaves_out_what_the_hand_of_an_mjcf_holds(mjcf: Path) -> None:
    pytest.importorskip("mujoco")
    made = new_contract.run(mjcf=mjcf)
    assert "ball" not in made.text
    assert made.problem == ""


def test_a_task_that_needs_more_is_said_and_the_contract_written_all_the_same(mjcf: Path) -> None:
    pytest.importorskip("mujoco")
    made = new_contract.run(mjcf=mjcf, task="valve")
    assert "object: ball" in made.text
    assert "no source for" in made.problem


def test_a_file_that_is_no_hands_is_refused(tmp_path: Path, mjcf: Path) -> None:
    with pytest.raises(ContractError, match=r"hand\.xml"):
        new_contract.run(urdf=mjcf)
    with pytest.raises(ContractError, match=r"none\.urdf"):
        new_contract.run(urdf=tmp_path / "none.urdf")
    assert CliRunner().invoke(app, ["contract", "new"]).exit_code == 2
