# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The same work by other libraries' planners: see peers.py, which runs them."""

from __future__ import annotations

from typing import Any

from mbrl_controller.benchmark.peers import peer_results
from mbrl_controller.benchmark.settings import Settings

TIMEOUT = 600.0  # s for each script; some compile first


def run(settings: Settings) -> dict[str, Any]:
    """CPU time (ms) of a plan of the issue's size by planner; `missing` says by peer why there is none."""
    results = peer_results(settings.peers_python, TIMEOUT)
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
