# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ..commands import finish, mbrl

pytest.importorskip("rclpy")
pytest.importorskip("mjviser")

pytestmark = pytest.mark.ros


def test_it_serves_without_a_controller_and_ends_with_ctrl_c(ros_env: Any, tmp_path: Path) -> None:
    process = mbrl(tmp_path, "panel", "valve", "--port", "8300")
    assert process.stderr is not None
    end = time.monotonic() + 60.0
    lines = ""
    while "watch at" not in lines and time.monotonic() < end and process.poll() is None:
        lines += process.stderr.readline()
    assert re.search(r"watch at http://127\.0\.0\.1:\d+", lines)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 0, out + err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "0.0.0.0"), "token"),
        (("--token-file", "missing"), "missing"),
        (("--model-file", "missing.xml"), "missing.xml"),
        (("--controller", "no name"), "controller"),
    ],
)
def test_what_it_cannot_do_it_says_and_ends(arguments: Any, said: str, ros_env: Any, tmp_path: Path) -> None:
    code, out, err = finish(mbrl(tmp_path, "panel", "valve", *arguments))
    assert code == 2, out + err
    assert said in err
