# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A task that only has a state, of any entries, and a small hand of our own in a world of format 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mbrl_controller.contract.contract import RobotContract, parse_contract
from mbrl_controller.tasks.base import EpisodeMetrics, Goal, Task, constant_goal
from mbrl_controller.tasks.catalog import TASKS
from mbrl_controller.tasks.spaces import AXES, Array, Mask, VectorSpec, parse_entry

# A wrist that carries the palm, a finger of one joint, one of two joints that a motor bends together, a door, a drawer.
HAND = """
<mujoco model="probe">
  <compiler angle="radian" autolimits="true"/>
  <option timestep=".002" integrator="implicit" cone="elliptic" jacobian="dense" noslip_iterations="3" impratio="5"/>
  <default><joint armature=".002" damping=".1"/><geom condim="4" friction="1 .02 .001" mass=".03"/></default>
  <worldbody>
    <camera name="eye" pos="0 -1 .5"/>
    <geom name="table" type="plane" size="1 1 .1"/>
    <body name="palm" pos="0 0 .3">
      <joint name="wrist" axis="0 0 1" range="-1.5 1.5"/>
      <geom type="box" size=".06 .06 .01"/>
      <site name="palm_centre" pos=".01 .02 .03" euler=".3 -.4 .5"/>
      <body name="index" pos=".06 0 0">
        <joint name="index" axis="0 -1 0" range="-.2 1.6"/>
        <geom type="capsule" size=".01" fromto="0 0 0 .07 0 0"/>
        <site name="index_tip" pos=".07 0 0" size=".02"/>
      </body>
      <body name="thumb" pos="-.06 0 0">
        <joint name="thumb_1" axis="0 1 0" range="-.2 1"/>
        <geom type="capsule" size=".01" fromto="0 0 0 -.04 0 0"/>
        <body pos="-.04 0 0">
          <joint name="thumb_2" axis="0 1 0" range="-.2 1"/>
          <geom type="capsule" size=".01" fromto="0 0 0 -.03 0 0"/>
        </body>
      </body>
    </body>
    <body name="door" pos=".4 0 .2">
      <joint name="door" axis="0 0 1" range="-1 1"/><geom type="box" size=".1 .01 .1" pos=".1 0 0"/>
    </body>
    <body name="drawer" pos="-.4 0 .2">
      <joint name="drawer" type="slide" axis="0 1 0" range="-.1 .1"/><geom type="box" size=".05 .05 .02"/>
    </body>
    <body name="pen" pos="0 .5 .1"><freejoint/><geom type="cylinder" size=".01 .07" euler="1.5707963 0 0"/></body>
  </worldbody>
  <tendon>
    <fixed name="thumb"><joint joint="thumb_1" coef="1"/><joint joint="thumb_2" coef=".5"/></fixed>
  </tendon>
  <actuator>
    <position name="A_wrist" joint="wrist" kp="4" ctrlrange="-1.5 1.5"/>
    <position name="A_index" joint="index" kp="3" gear="2" ctrlrange="-.4 3.2" forcerange="-2 2"/>
    <position name="A_thumb" tendon="thumb" kp="3" ctrlrange="-.3 1.5"/>
    <motor name="A_door" joint="door"/>
  </actuator>
  <sensor>
    <touch name="index_touch" site="index_tip"/>
    <force name="index_force" site="index_tip"/>
  </sensor>
  <keyframe>
    <key name="hold" qpos="0 .5 .2 .1 .3 -.02 0 .5 .2 1 0 0 0" ctrl="0 1 .25 .04"/>
  </keyframe>
</mujoco>
"""

JOINTS = {"wrist": (-1.5, 1.5), "index": (-0.2, 1.6), "thumb": (-0.3, 1.5)}
HAND_ENTRIES = [f"{joint}.{quantity}" for quantity in ("position", "velocity") for joint in JOINTS]
CUBE = {"shape": "box", "size": [0.06, 0.06, 0.06], "position": [0.0, 0.0, 0.36], "mass": 0.05}


def of_object(name: str, *quantities: str) -> list[str]:
    """State entries of an object."""
    return [f"{name}.{q}.{part}" for q in quantities for part in (AXES if q == "orientation" else "xyz")]


class Probe(Task):
    """A state of any entries; nothing to reach, nothing to drop."""

    name = "probe"
    goal_unit = "m"
    episode_s = 1.0
    drop_cost = 0.0

    def __init__(self, joints: tuple[str, ...], *, entries: list[str]) -> None:
        super().__init__(joints)
        self.state = VectorSpec(tuple(entries), ("",) * len(entries))
        self.goal = VectorSpec(("nothing",), ("m",))

    def reward(self, state: Array, action: Array, goal: Array) -> Array:
        return np.zeros(state.shape[:-1])

    def dropped(self, state: Array) -> Mask:
        return np.zeros(state.shape[:-1], dtype=bool)

    def sample_goal(self, rng: np.random.Generator, /, **options: Any) -> Goal:
        return constant_goal(np.zeros(1))

    def check_goal(self, goal: Array) -> None:
        self.check_goal_shape(goal)

    def metrics(self, states: Array, actions: Array, goals: Array, period: float) -> EpisodeMetrics:
        raise NotImplementedError


def probe_contract(
    folder: Path,
    entries: list[str] | None = None,
    *,
    text: str = HAND,
    suffix: str = ".xml",
    joints: dict[str, tuple[float, float]] | None = None,
    neutral: dict[str, float] | None = None,
    period: float = 0.05,
    **scene: Any,
) -> RobotContract:
    """Write a model and its scene into `folder`; returns a contract that names it.

    Args:
        folder: must not hold another scene: scenes are read once.
        entries: of the state; the hand's by default.
        text: of the model file.
        suffix: of the model file.
        joints: limits by commanded joint.
        neutral: of commanded joints, by default 0.
        period: of control, s.
        **scene: entries of scene.yaml.
    """
    TASKS.add("probe", Probe)
    entries = HAND_ENTRIES if entries is None else entries
    (folder / f"hand{suffix}").write_text(text)
    (folder / "scene.yaml").write_text(
        yaml.safe_dump({"format_version": 2, "model": {"file": f"hand{suffix}"}} | scene)
    )
    commanded = [
        {"name": name, "lower": low, "upper": high, "neutral": (neutral or {}).get(name, 0.0), "max_rate": 10.0}
        for name, (low, high) in (joints or JOINTS).items()
    ]
    document = {
        "format_version": 2,
        "robot": "probe",
        "scene": "scene.yaml",
        "task": "probe",
        "task_options": {"entries": entries},
        "control_period_s": period,
        "state": _sources(entries),
        "command": {"topic": "command", "type": "std_msgs/msg/Float64MultiArray", "joints": commanded},
    }
    return parse_contract(yaml.safe_dump(document), folder=folder)


def _sources(entries: list[str]) -> list[dict[str, Any]]:
    """A source for each joint's quantity, each object and each number."""
    found: dict[str, dict[str, Any]] = {}
    for name in entries:
        entry = parse_entry(name)
        topic = "t_" + "".join(c if c.isalnum() else "_" for c in f"{entry.owner}_{entry.quantity}")
        if entry.quantity == "value":
            found[topic] = {"topic": topic, "type": "std_msgs/msg/Float32MultiArray", "entries": {name: 0}}
        elif entry.is_object:
            own = found.setdefault(entry.owner, {"topic": f"o_{entry.owner}", "type": "nav_msgs/msg/Odometry",
                                                 "object": entry.owner, "fields": []})  # fmt: skip
            if entry.quantity not in own["fields"]:
                own["fields"].append(entry.quantity)
        else:
            found[topic] = {"topic": topic, "type": "sensor_msgs/msg/JointState", "joints": [entry.owner],
                            "fields": [entry.quantity]}  # fmt: skip
    return list(found.values())
