# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Planners of other libraries on the same work: the scripts of benchmarks/peers, each in a process of its own."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mbrl_controller.base.os_process import ONE_THREAD
from mbrl_controller.benchmark.settings import Settings

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"  # only in a checkout
TIMEOUT_S = 600.0  # for each script; some compile first
SHARED = "common.py"  # what the scripts import; not one of them
CHECKOUT_ONLY = "benchmarks/ comes with the source checkout only"
# An environment of the caller's would lead the interpreter away from its own packages.
LEFT_OUT = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"}


@dataclass(frozen=True)
class PeerResult:
    """What one script measured, or why it measured nothing."""

    peer: str
    version: str | None = None
    cpu_ms: dict[str, float] = field(default_factory=dict)  # planner -> median CPU time of a plan, ms
    note: str = ""
    reason: str | None = None  # None where it was measured


def run(settings: Settings) -> dict[str, Any]:
    """CPU time (ms) of a plan of the same size by planner; `missing` gives the reason for each peer without one."""
    results = peer_results(settings.peers_python, TIMEOUT_S)
    rows = [
        {"peer": result.peer, "version": result.version, "planner": planner, "cpu_ms": cpu_ms, "note": result.note}
        for result in results
        for planner, cpu_ms in result.cpu_ms.items()
    ]
    return {
        "rows": rows,
        "cpu_ms": {f"{row['peer']} {row['planner']}": row["cpu_ms"] for row in rows},
        "missing": {result.peer: result.reason for result in results if result.reason is not None},
    }


def peer_results(python: Path | None = None, timeout_s: float = 300, folder: Path = FOLDER) -> list[PeerResult]:
    """Run every script of `folder`, one after another, under the interpreter `python` (default: this one).

    Whatever goes wrong becomes the reason of that script's result.
    """
    scripts = sorted(path for path in folder.glob("*.py") if path.name != SHARED)
    if not scripts:
        return [PeerResult("peers", reason=CHECKOUT_ONLY)]
    return [_run(script, str(python or sys.executable), timeout_s) for script in scripts]


def _run(script: Path, python: str, timeout_s: float) -> PeerResult:
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    try:
        ended = subprocess.run(
            [python, str(script)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            env={**environment, **ONE_THREAD, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        return PeerResult(script.stem, reason=f"did not end within {timeout_s:g} s")
    except OSError as error:
        return PeerResult(script.stem, reason=f"{python} cannot be run: {error.strerror}")
    if ended.returncode != 0:
        last = _last_line(ended.stderr) or "no message"
        return PeerResult(script.stem, reason=f"exit code {ended.returncode}: {last}")
    try:
        return _parse(json.loads(_last_line(ended.stdout)))  # libraries print things of their own before it
    except (ValueError, TypeError, KeyError, AttributeError):
        return PeerResult(script.stem, reason="its last line is no result")


def _parse(answer: Mapping[str, Any]) -> PeerResult:
    """Raises ValueError, TypeError, KeyError or AttributeError when it is not what a script has to print."""
    peer = str(answer["peer"])
    if "skipped" in answer:
        return PeerResult(peer, reason=str(answer["skipped"]))
    cpu_ms = {str(planner): float(value) for planner, value in answer["cpu_ms"].items()}
    if not cpu_ms or not all(math.isfinite(value) for value in cpu_ms.values()):
        raise ValueError("no figures")
    return PeerResult(peer, str(answer["version"]), cpu_ms, str(answer.get("note", "")))


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "").strip()
