# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A measurement in a process of its own: with one thread a library, and with nothing left by what ran before."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from typing import Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import missing_extra
from mbrl_controller.base.os_process import ONE_THREAD
from mbrl_controller.benchmark.settings import UnavailableError

PACKAGE = "mbrl_controller.benchmark"


def isolated(module: str, function: str, **arguments: Any) -> dict[str, Any]:
    """Call `function` of this folder's `module` in a fresh process; arguments and result are plain data.

    Raises UnavailableError with the child's reason, MbrlError when it failed.
    """
    child = subprocess.run(
        [sys.executable, "-m", f"{PACKAGE}.subprocess_run", module, function],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        env={**os.environ, **ONE_THREAD},
    )
    if child.returncode != 0:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise MbrlError(f"{module}.{function}: exit code {child.returncode}: {last}")
    answer: dict[str, Any] = json.loads(child.stdout)
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
    """The child: the call on its arguments, the arguments as JSON on stdin, the answer as JSON on stdout."""
    module, function = sys.argv[1:]
    arguments = json.load(sys.stdin)
    answer: dict[str, Any]
    with contextlib.redirect_stdout(sys.stderr):  # libraries print; stdout is for the answer
        try:
            call = getattr(importlib.import_module(f"{PACKAGE}.{module}"), function)
            answer = {"result": call(**arguments)}
        except (MbrlError, ModuleNotFoundError) as error:
            answer = {"unavailable": reason(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
