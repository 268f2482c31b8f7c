# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A first contract of a hand, from what its model file says of its joints; a person then edits it."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from mbrl_controller.base.errors import ContractError

PERIOD = 0.1  # s, of control
MAX_RATE = 3.0  # rad/s; PDDM's for a hand. Drivers allow more, but a first contract should not.
STEP = 1e-4  # rad, to which limits are rounded, inwards
NAMES_IN_LINE = 5
MARGIN = 0.5  # rad beyond the limits at which a measurement is called a fault


@dataclass(frozen=True)
class JointLimits:
    """A joint that a hand's driver commands: limits and neutral in rad, max_rate in rad/s."""

    name: str
    lower: float
    upper: float
    neutral: float = 0.0
    max_rate: float = MAX_RATE


def urdf_joints(path: Path) -> list[JointLimits]:
    """The revolute joints of a URDF, in its order, but for those that mimic another.

    The neutral pose is 0, or the limit nearest to it. Raises ContractError naming file and joint.
    """
    try:
        root = ET.fromstring(path.read_bytes())
    except (OSError, ET.ParseError) as error:
        raise ContractError(f"{path}: cannot be read as URDF: {error}") from error
    if root.tag != "robot":
        raise ContractError(f"{path}: is no URDF: its root is <{root.tag}>, not <robot>")
    found = []
    for joint in root.iterfind("joint"):
        if joint.get("type") != "revolute" or joint.find("mimic") is not None:
            continue
        name, limit = joint.get("name") or "?", joint.find("limit")
        if limit is None:
            raise ContractError(f"{path}: joint {name} has no <limit>, which a revolute joint needs")
        try:
            lower, upper, rate = (float(limit.get(key) or 0.0) for key in ("lower", "upper", "velocity"))
        except ValueError as error:
            raise ContractError(f"{path}: joint {name}: <limit>: {error}") from error
        found.append(JointLimits(name, lower, upper, max_rate=min(rate, MAX_RATE) if rate > 0 else MAX_RATE))
    return found


def draft_contract(
    robot: str, task: str, joints: Sequence[JointLimits], where: str, objects: Sequence[str] = ()
) -> str:
    """The YAML text of a contract, with what to check in comments.

    Args:
        robot: name of the hand.
        task: name of the task; its state is the joints' positions, and all that Odometry says of the objects.
        joints: what is commanded, in the driver's order.
        where: file that the limits are from, for the comment and for errors.
        objects: names of what the hand holds.

    Raises:
        ContractError: there are no joints, or one has no range.
    """
    if not joints:
        raise ContractError(f"{where}: no joint to command: revolute ones in a URDF, actuated hinges in an MJCF")
    rows = [_inside(joint, where) for joint in joints]
    lowest, highest = min(r.lower for r in rows) - MARGIN, max(r.upper for r in rows) + MARGIN
    quoted = [scalar(row.name) for row in rows]
    names = ",\n             ".join(
        ", ".join(quoted[i : i + NAMES_IN_LINE]) for i in range(0, len(quoted), NAMES_IN_LINE)
    )
    lines = "\n".join(
        f"    - {{name: {scalar(r.name)}, lower: {_number(r.lower)}, upper: {_number(r.upper)}, "
        f"neutral: {_number(r.neutral)}, max_rate: {_number(r.max_rate)}}}"
        for r in rows
    )
    return f"""\
# Robot contract; the limits are from {scalar(where)}. To check: topics and types, max_rate, and the neutral pose,
# which should be safe and hold the object. `mbrl contract check FILE --live` compares it with the running hand;
# config/adroit_baoding.yaml of mbrl_controller explains each field. Floats are written with a decimal point. Units: m,
# rad, s.

format_version: {2 if objects else 1}
robot: {scalar(robot)}
task: {scalar(task)}

control_period_s: {PERIOD}

state:
  - topic: joint_states
    type: sensor_msgs/msg/JointState
    fields: [position]
    valid: {{position: {{lower: {_number(round(lowest, 1))}, upper: {_number(round(highest, 1))}}}}}
    # ignore_unknown: true      # allow joints that are not listed below, such as an arm's
    joints: [{names}]
{"".join(_object(name) for name in objects)}
command:
  topic: hand_controller/commands
  type: std_msgs/msg/Float64MultiArray   # ros2_control's forward_command_controller, joints in the order below
  safe: hold
  joints:                       # rad and rad/s
{lines}
"""


def _object(name: str) -> str:
    topic = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"""\
  - topic: {topic if topic[0].isalpha() else f"object_{topic}"}/odometry
    type: nav_msgs/msg/Odometry
    object: {scalar(name)}
    frame: world                # frame_id of the messages; in simulation, the model's world
    fields: [position, velocity, orientation, angular_velocity]
"""


def _inside(joint: JointLimits, where: str) -> JointLimits:
    """The joint with its limits rounded to `STEP`, never beyond what they were."""
    if not (math.isfinite(joint.lower) and math.isfinite(joint.upper) and joint.upper - joint.lower > 2 * STEP):
        raise ContractError(f"{where}: joint {joint.name} has no range: {joint.lower:g} to {joint.upper:g} rad")
    lower = round(math.ceil(joint.lower / STEP - 1e-6) * STEP, 4)
    upper = round(math.floor(joint.upper / STEP + 1e-6) * STEP, 4)
    neutral = min(max(round(joint.neutral, 4), lower), upper)
    return JointLimits(joint.name, lower, upper, neutral, joint.max_rate)


def _number(value: float) -> str:
    """With a decimal point, as YAML's readers take floats."""
    return f"{float(value)!r}" if abs(value) >= STEP or value == 0 else "0.0"


def scalar(text: str) -> str:
    """A YAML scalar that is read back as this text, quoted where it must be."""
    simple = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII) and yaml.safe_load(text) == text
    return text if simple else yaml.safe_dump(text, default_style='"', width=10**6).strip()
