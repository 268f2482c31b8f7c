# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The world whose episodes are learnt from, where a person chooses one of several."""

from __future__ import annotations

from collections.abc import Iterable

from mbrl_controller.base.errors import DatasetError, MbrlError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.origin import REAL, Origin, simulated_world

CURRENT = "current"  # the contract's own, as it is now


def present_world(contract: RobotContract) -> str:
    """The simulated world of the contract, as its files are now; `real` where none is known.

    Raises:
        MbrlError: it cannot be read, or the simulator is not installed.
    """
    try:
        from mbrl_controller.simulation.scene import world_digest
        from mbrl_controller.simulation.scene_paths import has_world
    except ModuleNotFoundError as error:
        raise MbrlError(
            f"the contract's world is read by the simulator, for which {error.name} is not installed: "
            f"{how_to_install('sim')}, or name the world: --world real"
        ) from error
    return simulated_world(world_digest(contract)) if has_world(contract) else REAL


def world_named(name: str, contract: RobotContract) -> str:
    """The world that `--world` means: `current`, or one by its name; raises MbrlError."""
    return present_world(contract) if name == CURRENT else name


def how_to_choose(contract: RobotContract) -> str:
    """What to say where episodes are of several worlds."""
    try:
        own = f", which is {present_world(contract)}"
    except MbrlError:
        own = ""  # as where a hand learns without the simulator
    return f"choose those of the contract's own world{own}: --world {CURRENT}, or of another (--world NAME)"


def require_some(world: str, found: Iterable[Origin]) -> None:
    """Raises DatasetError if none of the origins `found` is of `world`."""
    if all(origin.world != world for origin in found):
        there = "; ".join(map(str, found)) or "none of this robot"
        raise DatasetError(f"no episode is of world {world}; there are: {there}")
