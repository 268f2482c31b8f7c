# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The shipped contracts and one simulated hand for each, shared: a hand takes a tenth of a second to compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract, load_contract

if TYPE_CHECKING:
    from mbrl_controller.simulation.hand_simulation import HandSimulation

CONTRACTS = {
    "baoding": "adroit_baoding.yaml",
    "cube": "adroit_cube.yaml",
    "handwriting": "adroit_handwriting.yaml",
    "valve": "claw_valve.yaml",
}


@pytest.fixture(scope="session")
def contract_of() -> Callable[[str], RobotContract]:
    return lambda task: load_contract(share_dir() / "config" / CONTRACTS[task])


@pytest.fixture(params=sorted(CONTRACTS))
def contract(request, contract_of) -> RobotContract:
    return contract_of(request.param)


@pytest.fixture
def hand(contract) -> HandSimulation:
    return simulated(contract)


@pytest.fixture
def baoding(contract_of) -> HandSimulation:
    return simulated(contract_of("baoding"))


@pytest.fixture
def valve(contract_of) -> HandSimulation:
    return simulated(contract_of("valve"))


def simulated(contract: RobotContract) -> HandSimulation:
    from mbrl_controller.simulation.hand_simulation import HandSimulation

    return HandSimulation(contract)
