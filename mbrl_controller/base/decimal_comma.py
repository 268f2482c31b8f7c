# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Numbers written with a decimal comma, as many languages do and no file format here does."""

from __future__ import annotations

import re

HINT = "write a decimal point, not a comma"
_NUMBER = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")


def has_decimal_comma(value: object) -> bool:
    """Whether `value` is text such as 5,0."""
    return isinstance(value, str) and _NUMBER.fullmatch(value.strip()) is not None


def hint(value: object) -> str:
    """What to add to a complaint about `value`; empty where a comma is not the matter."""
    return f"; {HINT}" if has_decimal_comma(value) else ""
