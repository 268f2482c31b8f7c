# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Runs the tests in two turns: those without ROS on all cores at once, then those with real nodes one after the other.

    python tools/run_tests.py [what pytest takes]

Nodes run in real time and want the cores for themselves; all else does not mind company. Both turns run, whatever comes
of the first. The last line sums them up.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

NOTHING_SELECTED = 5  # pytest's exit code
STOPPED = 2


def turns(expression: str, cores: int) -> list[list[str]]:
    """Pytest's options of each turn; `expression`: of marks, as -m takes it, or empty."""
    beside = f" and ({expression})" if expression else ""
    workers = ["-n", str(cores), "--dist", "loadfile"] if cores > 1 and importlib.util.find_spec("xdist") else []
    return [[*workers, "-m", f"not ros{beside}"], ["-m", f"ros{beside}"]]


def counts(report: Path) -> Counter[str]:
    """How many tests passed, failed and so on, by a JUnit report; none where there is none."""
    found: Counter[str] = Counter()
    if not report.exists():
        return found
    for suite in ElementTree.parse(report).iter("testsuite"):
        values = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
        found["failed"] += values["failures"]
        found["errors"] += values["errors"]
        found["skipped"] += values["skipped"]
        found["passed"] += values["tests"] - values["failures"] - values["errors"] - values["skipped"]
    return found


def exit_code(codes: Sequence[int]) -> int:
    """Of all turns together: a turn for which nothing was selected counts only where that is so of all."""
    selected = [code for code in codes if code != NOTHING_SELECTED]
    return max(selected) if selected else NOTHING_SELECTED


def main(arguments: Sequence[str]) -> int:
    """Run both turns; pytest's exit code."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", dest="expression", default="")
    given, others = parser.parse_known_args(arguments)
    began, codes, total = time.monotonic(), [], Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number, options in enumerate(turns(given.expression, os.cpu_count() or 1)):
            report = Path(folder) / f"{number}.xml"
            command = [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", *others]
            codes.append(subprocess.run(command, check=False).returncode)
            total += counts(report)
            if codes[-1] == STOPPED:
                break
    said = [f"{total[kind]} {kind}" for kind in ("failed", "errors", "passed", "skipped") if total[kind]]
    print(f"=== {', '.join(said) or 'no tests ran'} in {time.monotonic() - began:.2f}s ===", flush=True)
    return exit_code(codes)


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
