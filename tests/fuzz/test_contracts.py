# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Damaged contracts are refused, naming the file; what is accepted gives limits that a hand can be kept in."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from mbrl_controller.base.errors import ContractError, MessageError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.command_messages import encode_command
from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.contract.source_reader import SourceReader
from mbrl_controller.control.config import SafetyConfig
from mbrl_controller.control.safety import Safety
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.episodes.source_messages import source_message

from .damage import cuts, damaged, edited, edits
from .hand import OBJECTS, STATES, TOPICS

# Small ones, since PyYAML takes a tenth of a second for the Adroit hand's.
TEXTS = [OBJECTS, TOPICS, STATES, (share_dir() / "config" / "claw_valve.yaml").read_text()]
VALVE = TEXTS[-1]
DOCUMENTS = [yaml.safe_load(text) for text in TEXTS]


def as_yaml(document: Any) -> str:
    """JSON, which is YAML but for these numbers; many times faster than YAML's own writer."""
    return re.sub(r"\bNaN\b", ".nan", re.sub(r"\bInfinity\b", ".inf", json.dumps(document)))


def check(text: str) -> None:
    """Raises ContractError, or what follows from the contract holds."""
    check_usable(parse_contract(text, "hand.yaml"))


def check_usable(contract: RobotContract) -> None:
    """Limits are numbers, sources become stale, and the safe command keeps the limits."""
    action = contract.action
    limits = np.array([action.lower, action.upper, action.neutral, action.max_rate, action.upper - action.lower])
    assert np.isfinite(limits).all()
    assert 0 < action.period <= 10
    for source in contract.sources:
        assert 0 < source.max_age_s < np.inf
        for valid in source.valid.values():
            assert valid.lower < valid.upper
        sent = source_message(source, np.zeros(len(source.entries())), 1_000_000_000)
        with contextlib.suppress(MessageError):  # zeros may be out of its range
            SourceReader(source).read(sent)
    StateInput(contract)
    commanded = np.concatenate([to.at for to in contract.destinations])
    assert sorted(commanded.tolist()) == list(range(len(action))), "each joint goes to one topic"
    for to in contract.destinations:
        for angles in (action.lower, action.neutral, action.upper):
            values = encode_command(to, angles[None], action.period).values
            assert np.isfinite(values).all()
            assert (to.lower <= values).all()
            assert (values <= to.upper).all()
    safety = Safety(action, SafetyConfig(), contract.file.command.safe)
    for position in (action.neutral, action.upper + 0.4 * action.max_rate * action.period):
        command = safety.safe_command(position)
        if command is not None:
            assert (action.lower <= command).all()
            assert (command <= action.upper).all()
    assert len(contract.digest) == 64


def test_structure(fuzz) -> None:
    counted = fuzz("contracts: structure")

    @counted.settings()
    @given(st.sampled_from(DOCUMENTS), edits)
    def run(document, changes) -> None:
        text = as_yaml(edited(document, changes))
        with counted.one("hand.yaml: "):
            check(text)

    run()


@pytest.mark.parametrize(
    "options", ["center: []", "center: {}", "center: ab", "center: [.nan, 0.0]", "radii: [0.0, 1.0]", "reach: .inf"]
)
def test_options_of_a_task_are_numbers(options) -> None:
    with pytest.raises(ContractError, match=r"^hand\.yaml: task baoding: "):
        check(OBJECTS.replace("center: [0.0, 0.01]", options))


def test_bytes(fuzz) -> None:
    counted = fuzz("contracts: bytes")

    @counted.settings()
    @given(st.sampled_from(TEXTS), cuts)
    @example("[" * 3000, [])
    @example("{a: " * 3000, [])
    @example("robot: 2001-99-99", [])
    @example("robot: !!int x", [])
    @example("robot: !!timestamp x", [])
    @example("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", [])
    def run(text, changes) -> None:
        content = damaged(text.encode(), changes, TEXTS[0].encode()).decode("latin-1")
        with counted.one("hand.yaml: "):
            check(content)

    run()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_age_s: 0.25", "max_age_s: .inf"),
        ("max_age_s: 0.25", "max_age_s: .nan"),
        ("position: {lower: -2.0, upper: 2.0}", "position: {lower: .nan, upper: 2.0}"),
        ("position: {lower: -2.0, upper: 2.0}", "position: {lower: 3.0, upper: 2.0}"),
        ("position: {lower: -2.0, upper: 2.0}", "postion: {lower: -2.0, upper: 2.0}"),  # codespell:ignore
        ("lower: -0.6, upper: 0.6", "lower: -1.0e+308, upper: 1.0e+308"),
        ("fold: 3", "fold: 100000000"),
        ("fold: 3", "fold: 3.0"),
        ("topic: joint_states", "topic: joint states"),
        ("topic: joint_states", "topic: hand_controller/commands"),
        ("robot: claw", 'robot: "claw\\0"'),
        ("valve: valve  ", "valve: &a [*a]  "),
        ("mirrored: [F1J1, F2J1, F3J1]", "mirrored: 1"),
    ],
)
def test_what_fuzzing_found(old, new) -> None:
    assert old in VALVE
    with pytest.raises(ContractError, match=r"^hand\.yaml: "):
        check(VALVE.replace(old, new, 1))
