# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from mbrl_controller.base.errors import one_line


def test_what_a_library_says_is_told_in_one_short_line() -> None:
    text = one_line(RuntimeError("first line\n   second\tpart " + "x" * 1000))
    assert text == "first line second part " + "x" * 277
