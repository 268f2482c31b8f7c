# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which task a command is for."""

from __future__ import annotations

from pathlib import Path

FORMER_DEFAULT = "baoding"  # of version 0.2, for one more release


def chosen_task(task: str | None, contract: Path | None = None) -> str:
    """The task that is named, else the contract's, else the only one that is installed; raises MbrlError.

    Without any of these it is that of earlier releases, with a warning that names what is installed.
    """
    from mbrl_controller.base.deprecated import warn_renamed
    from mbrl_controller.contract.contract import load_contract
    from mbrl_controller.tasks.catalog import TASKS

    if task is not None:
        return task
    if contract is not None:
        return load_contract(contract).task.name
    names = TASKS.names()
    if len(names) != 1:
        warn_renamed(
            f"no task is named, so it is {FORMER_DEFAULT}; the next release will not choose. "
            f"Installed: {', '.join(names)}"
        )
    return names[0] if len(names) == 1 else FORMER_DEFAULT
