# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How public drivers of hands speak, from their own sources: names, order, types, units, quality of service, rates.

Written down here again, and not taken from the contracts, which are tested against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

ARRAY, TRAJECTORY, JOINTS = (
    "std_msgs/msg/Float64MultiArray",
    "trajectory_msgs/msg/JointTrajectory",
    "sensor_msgs/msg/JointState",
)


@dataclass(frozen=True)
class CommandTopic:
    """A topic on which a driver takes targets for its `joints`, by name or in this order."""

    topic: str
    type: str
    joints: tuple[str, ...]
    named: bool = False
    reliable: bool = True


@dataclass(frozen=True)
class Unit:
    """A joint's numbers: angle (rad) = zero + per * number."""

    zero: float = 0.0
    per: float = 1.0

    def angle(self, number: float) -> float:
        return self.zero + self.per * number

    def number(self, angle: float) -> float:
        return (angle - self.zero) / self.per


@dataclass(frozen=True)
class Driver:
    """A driver. Its names of joints are its own; `contract_name` makes them the contract's."""

    contract: str  # of config/hands
    node: str
    state: str  # topic
    joints: tuple[str, ...]  # in the order of its states
    rate: float  # Hz
    commands: tuple[CommandTopic, ...]
    namespace: str = ""
    names_states: bool = True
    reliable: bool = True  # its states
    units: dict[str, Unit] = field(default_factory=dict)  # of states; rad where there is none
    command_units: dict[str, Unit] | None = None  # where they differ from those of states
    velocity: Literal["", "zero", "nan"] = "zero"
    effort: Literal["", "zero", "nan"] = "zero"
    contract_name: Callable[[str], str] = lambda name: name
    tactile: str = ""  # topic with 16 numbers
    whole: bool = False  # takes whole numbers from 0 to 255, and nothing of a command with another
    only_heard: bool = False  # publishes only while somebody listens
    left_out_is_zero: bool = False  # a joint that a command leaves out goes to 0

    def unit(self, joint: str, of_commands: bool = False) -> Unit:
        units = self.units if self.command_units is None or not of_commands else self.command_units
        return units.get(joint, Unit())


def ros2_control(joints: tuple[str, ...], topic: str, kind: str = ARRAY) -> tuple[CommandTopic, ...]:
    """A forward_command_controller, or a joint_trajectory_controller. Under Fast DDS they listen best effort."""
    return (CommandTopic(topic, kind, joints, named=kind == TRAJECTORY, reliable=False),)


def without(prefix: str) -> Callable[[str], str]:
    return lambda name: name.removeprefix(prefix)


ALLEGRO = tuple(f"ah_joint{finger}{joint}" for finger in range(4) for joint in range(4))
ALLEGRO_V5 = tuple(f"joint_{i}_0" for i in range(16))
LEAP = tuple(f"{finger}_{joint}" for finger in ("index", "middle", "ring", "thumb")
             for joint in ("side", "forward", "pip", "dip"))  # fmt: skip
WUJI = tuple(f"right_finger{finger}_joint{joint}" for finger in range(1, 6) for joint in range(1, 5))
DG5F = tuple(f"rj_dg_{finger}_{joint}" for finger in range(1, 6) for joint in range(1, 5))
HX5 = tuple(f"finger_r_joint{i}" for i in range(1, 21))
INSPIRE = (
    *("thumb_proximal_yaw_joint", "thumb_proximal_pitch_joint", "index_proximal_joint"),
    *("middle_proximal_joint", "ring_proximal_joint", "pinky_proximal_joint"),
)
SHADOW_FINGERS = (
    *(f"rh_{finger}J{joint}" for finger in ("FF", "MF", "RF") for joint in (1, 2, 3, 4)),
    *(f"rh_LFJ{joint}" for joint in (1, 2, 3, 4, 5)),
    *(f"rh_THJ{joint}" for joint in (1, 2, 3, 4, 5)),
)
SHADOW_WRIST = ("rh_WRJ1", "rh_WRJ2")
# L10, right: joint, angle at 255, angle at 0 (rad); of mapping.py.
LINKER = {
    "thumb_cmc_pitch": (0.0, 0.75), "thumb_cmc_yaw": (0.0, 1.43), "index_mcp_pitch": (0.0, 1.62),
    "middle_mcp_pitch": (0.0, 1.62), "ring_mcp_pitch": (0.0, 1.62), "pinky_mcp_pitch": (0.0, 1.62),
    "index_mcp_roll": (0.21, -0.26), "ring_mcp_roll": (0.21, 0.0), "pinky_mcp_roll": (0.34, 0.0),
    "thumb_cmc_roll": (-0.52, 1.01),
}  # fmt: skip
ORCA = ("wrist", *(f"thumb_{joint}" for joint in ("cmc", "abd", "mcp", "dip")),
        *(f"{finger}_{joint}" for finger in ("index", "middle", "ring", "pinky")
          for joint in ("abd", "mcp", "pip")))  # fmt: skip
RIGHT_ORCA = tuple(f"right_{joint}" for joint in ORCA)

DRIVERS = [
    *(
        Driver(
            f"{name}.yaml",
            "allegro_hand_position_controller",
            "/joint_states",
            tuple(sorted(ALLEGRO)),
            100.0,
            ros2_control(ALLEGRO, "/allegro_hand_position_controller/commands"),
        )
        for name in ("allegro_v4", "allegro_plexus")
    ),
    Driver(
        "allegro_v5.yaml",
        "allegro_node_grasp",
        "/allegroHand_0/joint_states",
        ALLEGRO_V5,
        500.0,
        (CommandTopic("/allegroHand/joint_cmd", JOINTS, ALLEGRO_V5),),
    ),
    Driver(
        "allegro_v5_sense.yaml",
        "allegro_node_grasp_0",
        "/allegroHand_0/joint_states",
        ALLEGRO_V5,
        333.0,
        (CommandTopic("/allegroHand_0/joint_cmd", JOINTS, ALLEGRO_V5),),
        tactile="/allegroHand_0/tactile_sensors",
    ),
    Driver(  # its states as joint_poller publishes them: the driver itself only answers
        "leap_v1.yaml",
        "leaphand_node",
        "/joint_states",
        LEAP,
        60.0,
        (CommandTopic("/cmd_leap", JOINTS, LEAP),),
        units=dict.fromkeys(LEAP, Unit(zero=-3.14159)),
    ),
    Driver(
        "wuji.yaml",
        "wujihand_driver",
        "/hand_0/joint_states",
        WUJI,
        1000.0,
        (CommandTopic("/hand_0/joint_commands", JOINTS, WUJI, named=True, reliable=False),),
        namespace="/hand_0",
        reliable=False,
        velocity="",
        contract_name=without("right_"),
        left_out_is_zero=True,
    ),
    Driver(
        "dg5f.yaml",
        "dg5f_right_controller",
        "/dg5f_right/joint_states",
        DG5F,
        100.0,
        ros2_control(DG5F, "/dg5f_right/dg5f_right_controller/joint_trajectory", TRAJECTORY),
        namespace="/dg5f_right",
        effort="nan",
    ),
    Driver(
        "hx5_d20.yaml",
        "right_hand_controller",
        "/joint_states",
        tuple(sorted(HX5)),
        100.0,
        ros2_control(HX5, "/right_hand_controller/joint_trajectory", TRAJECTORY),
    ),
    Driver(
        "inspire_rh56.yaml",
        "inspire_rh56_hand_joint_position_controller",
        "/joint_states",
        tuple(sorted(INSPIRE)),
        50.0,
        ros2_control(INSPIRE, "/inspire_rh56_hand_joint_position_controller/commands"),
        effort="nan",
    ),
    Driver(
        "shadow.yaml",
        "ros_bridge",
        "/joint_states",
        (*SHADOW_FINGERS, *SHADOW_WRIST),
        125.0,
        (
            CommandTopic("/rh_trajectory_controller/command", TRAJECTORY, SHADOW_FINGERS, named=True),
            CommandTopic("/rh_wr_trajectory_controller/command", TRAJECTORY, SHADOW_WRIST, named=True),
        ),
    ),
    Driver(
        "linkerhand_l10.yaml",
        "linker_hand_sdk",
        "/cb_right_hand_state",
        tuple(LINKER),
        60.0,
        (CommandTopic("/cb_right_hand_control_cmd", JOINTS, tuple(LINKER)),),
        names_states=False,
        units={joint: Unit(at_0, (at_255 - at_0) / 255) for joint, (at_255, at_0) in LINKER.items()},
        whole=True,
        only_heard=True,
    ),
    Driver(
        "orca.yaml",
        "orca_hand",
        "/joint_states",
        RIGHT_ORCA,
        50.0,
        (CommandTopic("/joint_commands", JOINTS, RIGHT_ORCA, named=True),),
        command_units=dict.fromkeys(RIGHT_ORCA, Unit(per=math.pi / 180)),
        contract_name=without("right_"),
    ),
]
