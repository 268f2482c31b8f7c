# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl` as a person runs it: in a process of its own, with a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def mbrl(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start it."""
    environment = {**os.environ, "MBRL_HOME": str(home), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mbrl_controller", *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    )


def hear_ctrl_c() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C, and tests started there pass that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str], timeout: float = 240) -> tuple[int, str, str]:
    """Wait for its end: exit code, stdout, stderr."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out, err


def nodes_of(home: Path) -> dict[str, int]:
    """Process ids of the nodes that run with this home, by name."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"MBRL_HOME={home}".encode() in path.read_bytes().split(b"\0"):
                words = (path.parent / "cmdline").read_bytes().decode().split("\0")
                found |= {
                    word.rpartition(".")[2]: int(path.parent.name)
                    for word in words
                    if word.startswith("mbrl_controller.nodes.")
                }
        except OSError:
            continue  # ended meanwhile, or another user's
    return found
