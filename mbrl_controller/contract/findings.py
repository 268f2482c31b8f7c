# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a contract that loads may still have wrong, as far as the file alone shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.sources import JointSource


@dataclass(frozen=True)
class Finding:
    """Something that will keep a hand from being controlled, and what to do about it."""

    where: str  # topic, file or joint
    problem: str
    change: str


def static_findings(contract: RobotContract) -> list[Finding]:
    """Faults of a contract that need no hand to be seen."""
    found = []
    for source in contract.sources:
        if isinstance(source, JointSource):
            found += _too_narrow(contract, source)
    scene = contract.file.scene
    if scene and contract.folder is not None and not (contract.folder / scene).is_file():
        found.append(
            Finding(str(contract.folder / scene), "the contract's scene does not exist", "write it, or drop scene:")
        )
    return found


def _too_narrow(contract: RobotContract, source: JointSource) -> list[Finding]:
    """Ranges of valid measurements that leave out angles to which the joints may be sent."""
    space, found = contract.action, []
    at = [space.names.index(joint) for joint in source.names if joint in space.names]
    if not at or "position" not in source.fields:
        return []
    mapping = source.joint_map.only([space.names[i] for i in at])
    ends = np.stack([space.lower[at], space.upper[at]])
    ranges = [("valid.position", ends, source.valid.get("position"))]
    ranges.append(("raw", np.sort(mapping.to_driver(ends), axis=0), source.raw))
    for name, (low, high), limits in ranges:
        if limits is None:
            continue
        for joint, lower, upper in zip(mapping.joints, low, high, strict=True):
            if lower < limits.lower or upper > limits.upper:
                found.append(
                    Finding(
                        source.topic,
                        f"{name} is {limits.lower:g} to {limits.upper:g}, but {joint} may be sent from {lower:.4g} to "
                        f"{upper:.4g}: it would be taken for a sensor fault there",
                        f"widen {name}, or narrow the limits of {joint}",
                    )
                )
    return found
