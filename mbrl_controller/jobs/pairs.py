"""NAME=VALUE on a command line; values are YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from mbrl_controller.errors import MbrlError


def parse_pairs(option: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """`["seed=1", "hidden=[250, 250]"]` as a dictionary; raises MbrlError naming `option` and the pair at fault."""
    parsed: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals):
            raise MbrlError(f"{option} {pair}: expected NAME=VALUE")
        try:
            parsed[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise MbrlError(f"{option} {pair}: the value is not YAML") from error
    return parsed
