# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A measurement in a fresh process: one thread per library, and nothing left over from earlier measurements."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import missing_extra
from mbrl_controller.base.os_process import ONE_THREAD, die_with_parent
from mbrl_controller.benchmark.settings import UnavailableError

P = ParamSpec("P")


def run_in_subprocess(
    function: Callable[P, dict[str, Any]], *positional: P.args, **arguments: P.kwargs
) -> dict[str, Any]:
    """Call `function`, which is at the top level of its module, in a fresh process.

    Arguments and result are plain data, as JSON has it. Raises UnavailableError with the child's reason, and MbrlError
    if the child failed.
    """
    child = subprocess.run(
        [sys.executable, "-m", __name__, function.__module__, function.__name__],
        input=json.dumps([positional, arguments]),
        capture_output=True,
        text=True,
        env={**os.environ, **ONE_THREAD},
    )
    if child.returncode != 0:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise MbrlError(f"{function.__module__}.{function.__name__}: exit code {child.returncode}: {last}")
    answer = json.loads(child.stdout)
    if "unavailable" in answer:
        raise UnavailableError(answer["unavailable"])
    result: dict[str, Any] = answer["result"]
    return result


def reason(error: Exception) -> str:
    """Why something cannot be measured, in one line."""
    if isinstance(error, ModuleNotFoundError):
        return missing_extra(error) or str(error)
    return str(error)


def main() -> None:
    """The child: arguments as JSON on stdin, the answer as JSON on stdout."""
    die_with_parent(signal.SIGKILL)  # else a killed benchmark would go on, and disturb the next one
    module, function = sys.argv[1:]
    positional, arguments = json.load(sys.stdin)
    answer: dict[str, Any]
    with contextlib.redirect_stdout(sys.stderr):  # libraries print; stdout is for the answer
        try:
            answer = {"result": getattr(importlib.import_module(module), function)(*positional, **arguments)}
        except (MbrlError, ModuleNotFoundError) as error:
            answer = {"unavailable": reason(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
