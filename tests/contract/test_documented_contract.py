# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The contract in docs/own_task.md is one."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.contract.sources import JointSource, Source
from mbrl_controller.tasks.catalog import TASKS

from ..simulation.probe import Probe

TEXT = (Path(__file__).parents[2] / "docs" / "own_task.md").read_text()


def test_the_whole_contract_of_format_2_reads() -> None:
    found = re.search(r"## States\n.*?```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    document = yaml.safe_load(found[1])
    sources = [TypeAdapter(Source).validate_python(source) for source in document["state"]]
    TASKS.add("probe", Probe)
    entries = [entry for source in sources for entry in source.entries()]
    document |= {"task": "probe", "task_options": {"entries": entries}}
    hand = parse_contract(yaml.safe_dump(document)).sources[0]

    assert isinstance(hand, JointSource)
    assert hand.joint_map.drivers == (("index_mcp",), ("th1", "th2"))
    assert hand.joint_map.offset.tolist() == [90, 0]
