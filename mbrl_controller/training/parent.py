# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which version a new one follows: of the same robot, measured in the same way, with the same shape.

A task has one current version, whatever the robot. A version of another robot, such as the shipped one, is neither a
baseline for a new version nor a start for its weights.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from mbrl_controller.base.errors import ContractError, MbrlError
from mbrl_controller.base.extras import how_to_install
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.data_schema import FILTERED, DataSchema
from mbrl_controller.models.card import ModelCard, Version
from mbrl_controller.models.hand_geometry import HandGeometry
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.origin import worlds_of
from mbrl_controller.models.registry import Registry


@dataclass(frozen=True)
class Parent:
    """The newest promoted version that can be a parent, and why those promoted since cannot, by name.

    `damaged`: those among them that cannot be read, so they may be of this robot.
    """

    version: Version | None
    passed_over: dict[str, str]
    damaged: tuple[str, ...] = ()


def find_parent(
    registry: Registry, task: str, contract: RobotContract, worlds: Collection[str] = (), mix: Collection[str] = ()
) -> Parent:
    """Find the parent of a new version.

    Args:
        registry: of the versions.
        task: of both.
        contract: of the new version's robot.
        worlds: that its episodes are of, as far as is known.
        mix: what may differ: `robots`, `worlds`.

    Raises:
        RegistryError: the current version is unknown.
    """
    passed_over: dict[str, str] = {}
    damaged: list[str] = []
    for name in registry.promoted(task):
        try:
            version = registry.resolve(task, name)
            card = version.card()
            why = why_no_parent(card, contract, worlds, mix)
            if not why:
                OnnxEnsemble.load(version.read(version.model, card))
                return Parent(version, passed_over, tuple(damaged))
            passed_over[name] = why
        except MbrlError as error:
            passed_over[name] = str(error)
            damaged.append(name)
    return Parent(None, passed_over, tuple(damaged))


def why_no_parent(
    card: ModelCard, contract: RobotContract, worlds: Collection[str] = (), mix: Collection[str] = ()
) -> str:
    """Why a version is not of the robot of `contract` and of one of `worlds`, in words; empty if it is.

    Joint limits may differ: the learnt dynamics stay true. An old card that does not say how states were measured is
    compared by names only. Shapes are compared if the version has one and the contract's robot a simulated world.
    """
    if card.model_sha256 is None:
        return "it has no model, only " + ("a policy" if card.identified is None else "fitted physics")
    if card.spec.residual_to:
        return "it predicts only what a simulator misses"
    wanted = DataSchema.of_contract(contract)
    if not card.origins:  # an old card, which does not say how velocities were filtered either
        measured = {entry: how.partition(FILTERED)[0] for entry, how in wanted.measured.items()}
        wanted = replace(wanted, measured=measured)
    wrong = DataSchema.of_model(card.spec, card.measured).differences(wanted, "robots" in mix)
    own = worlds_of(card.origins)
    if own and worlds and not own & set(worlds) and "worlds" not in mix:
        wrong.append(f"its world is {', '.join(sorted(own))}, not {', '.join(sorted(worlds))} (--mix worlds)")
    if not wrong and card.spec.geometry is not None:
        shape = _simulated_shape(contract)
        if shape is not None and not shape.matches(card.spec.geometry):
            wrong.append("its contact features are of another scene: surfaces or objects differ")
    return "; ".join(wrong)


def _simulated_shape(contract: RobotContract) -> HandGeometry | None:
    """The geometry for contact features; None without a simulated world, or without the simulator."""
    try:
        return simulated_shape(contract)
    except MbrlError:
        return None


def simulated_shape(contract: RobotContract) -> HandGeometry:
    """The geometry for contact features; raises MbrlError with the remedy if there is none."""
    instead = "leave contact features out: --set contacts=false"
    try:
        from mbrl_controller.simulation.extract_geometry import extract_geometry
    except ModuleNotFoundError as error:
        raise MbrlError(
            f"contact features take the hand's shape from its simulated world, for which {error.name} is not "
            f"installed: {how_to_install('sim')}, or {instead}"
        ) from error
    try:
        return extract_geometry(contract)
    except ContractError as error:
        raise ContractError(f"{error}; give the robot a world in sim/, or {instead}") from error
