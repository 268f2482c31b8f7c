# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Topics and services of each node, asked of the node itself, which is configured and activated for that.

A process of its own prints them as JSON (`python -m sitegen.node_graph`), because a node changes the process it is in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONTRACT = "claw_valve.yaml"
PARAMETERS = {
    "controller": {"contract": CONTRACT, "planner.name": "random"},  # needs no model
    "logger": {"contract": CONTRACT},
    "sim": {"contract": CONTRACT},
    "signals": {"contract": CONTRACT},
    "joint_poller": {"service": "read", "type": "std_srvs/srv/Trigger", "joints": "[finger]", "position": "success"},
    "panel": {"contract": CONTRACT, "port": "8190"},
}
STANDARD = {"/rosout", "/parameter_events", "~/transition_event"}  # every node of ROS has them
STANDARD_SERVICES = ("parameter", "_state", "transition", "type_description")

Row = dict[str, str]  # kind (in, out, service), name, type, qos


def graphs() -> dict[str, list[Row]]:
    """The rows of each node, by its name; raises RuntimeError with what a node says where one does not come up."""
    with tempfile.TemporaryDirectory() as home:
        alone = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF", "MBRL_HOME": home}
        path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
        done = subprocess.run(
            [sys.executable, "-m", "sitegen.node_graph"],
            env=os.environ | alone | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )
    if done.returncode:
        raise RuntimeError(f"the nodes' topics are not known: {done.stderr[-2000:]}")
    found: dict[str, list[Row]] = json.loads(done.stdout.splitlines()[-1])
    return found


def graph(node: str, parameters: dict[str, str]) -> list[Row]:
    """The rows of one node."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    arguments = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", *arguments], signal_handler_options=SignalHandlerOptions.NO)
    made = _classes()[node]()
    try:
        if not made.bring_up():
            raise RuntimeError(f"{node}: {made.reason}")
        return list(_rows(made))
    finally:
        made.bring_down()
        made.destroy_node()
        rclpy.shutdown()


def _classes() -> dict[str, Any]:
    from mbrl_controller.nodes.controller import ControllerNode
    from mbrl_controller.nodes.joint_poller import JointPoller
    from mbrl_controller.nodes.logger import Logger
    from mbrl_controller.nodes.signals import Signals
    from mbrl_controller.nodes.sim import Sim
    from mbrl_controller.panel.node import Panel

    nodes = {"controller": ControllerNode, "logger": Logger, "sim": Sim, "signals": Signals}
    return nodes | {"joint_poller": JointPoller, "panel": Panel}


def _rows(node: Any) -> Iterator[Row]:
    own = f"/{node.get_name()}/"
    for kind, ends in (("out", node.publishers), ("in", node.subscriptions)):
        for end in ends:
            name = _named(end.topic_name, own)
            if name not in STANDARD:
                message = end.msg_type
                yield {"kind": kind, "name": name, "type": _type(message), "qos": _qos(end.qos_profile)}
    for service in node.services:
        name = _named(service.srv_name, own)
        if not any(word in name for word in STANDARD_SERVICES):
            yield {"kind": "service", "name": name, "type": _type(service.srv_type), "qos": ""}


def _named(name: str, own: str) -> str:
    """A full name as ~/x, where it is below the node's."""
    return f"~/{name.removeprefix(own)}" if name.startswith(own) else name


def _type(message: Any) -> str:
    """Such as std_msgs/String."""
    return f"{message.__module__.partition('.')[0]}/{message.__name__}"


def _qos(profile: Any) -> str:
    """In the words of docs/ros_interface.md."""
    words = [profile.reliability.name.lower().replace("_", " ")]
    words += ["transient local"] if profile.durability.name == "TRANSIENT_LOCAL" else []
    return ", ".join([*words, str(profile.depth)])


if __name__ == "__main__":
    print(json.dumps({node: graph(node, parameters) for node, parameters in PARAMETERS.items()}))
