# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""config/security/policy.xml allows the nodes what they publish, hear, offer and call, and nothing more."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

import rclpy
from rclpy.lifecycle import TransitionCallbackReturn

from mbrl_controller.base.resources import share_dir
from mbrl_controller.nodes.controller import ControllerNode
from mbrl_controller.nodes.joint_poller import JointPoller
from mbrl_controller.nodes.logger import Logger
from mbrl_controller.nodes.signals import Signals
from mbrl_controller.nodes.sim import Sim

FILE = share_dir() / "config" / "security" / "policy.xml"
NODES = ("controller", "logger", "sim", "signals", "joint_poller")
SHOWN_GOAL = ("topics subscribe", "/controller/goal")  # allowed to a sim that has a viewer
TRANSFORMS = ("topics subscribe", "/tf_static")  # allowed to those who read poses, which a contract may have turned
# What the node `signals` hears while somebody hears it.
SHOWN = {
    ("topics subscribe", topic)
    for topic in ("/ball_a/odometry", "/ball_b/odometry", "/controller/goal", "/controller/plan", "/controller/tick",
                  "/joint_states", "/tf_static")
}  # fmt: skip
SIMULATED_TIME = ("topics subscribe", "/clock")  # allowed to whoever is started with use_sim_time

Rights = set[tuple[str, str]]  # (what, full name)


def allowed(node: str) -> Rights:
    """What the policy says."""
    enclave = ET.parse(FILE).find(f"./enclaves/enclave[@path='/mbrl/{node}']")
    assert enclave is not None
    (profile,) = enclave.findall("./profiles/profile")
    assert (profile.get("ns"), profile.get("node")) == ("/", node)
    found: Rights = set()
    for group in profile:
        for way, rule in group.attrib.items():
            assert rule == "ALLOW"
            for entry in group:
                text = (entry.text or "").strip()
                full = text.replace("~", f"/{node}", 1) if text.startswith("~") else f"/{text.lstrip('/')}"
                assert (f"{group.tag} {way}", full) not in found, "said twice"
                found.add((f"{group.tag} {way}", full))
    return found


def used(node: Any) -> Rights:
    """What rcl knows of the node."""
    me = (node.get_name(), node.get_namespace())
    return {
        (what, name)
        for what, ask in (
            ("topics publish", node.get_publisher_names_and_types_by_node),
            ("topics subscribe", node.get_subscriber_names_and_types_by_node),
            ("services reply", node.get_service_names_and_types_by_node),
            ("services request", node.get_client_names_and_types_by_node),
        )
        for name, _ in ask(*me)
    }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Rights]]:
    """The nodes with the default contract, all active, as on a robot; what each uses."""
    folder, before = tmp_path_factory.mktemp("log"), dict(os.environ)
    os.environ |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF", "MBRL_HOME": str(folder)}
    with ExitStack() as stack:
        stack.callback(lambda: (os.environ.clear(), os.environ.update(before)))
        poller = ["service:=leap_pos_vel_eff", "type:=nav_msgs/srv/GetMap", "joints:=[thumb]", "position:=map.data"]
        given = ["reset_service:=sim/reset", f"log_dir:={folder}", *(f"joint_poller:{one}" for one in poller)]
        rclpy.init(args=["--ros-args", *(word for one in given for word in ("-p", one))])
        stack.callback(rclpy.try_shutdown)
        nodes = [ControllerNode(), Logger(), Sim(), Signals(), JointPoller()]
        for node in nodes:
            stack.callback(node.destroy_node)
            stack.callback(node.bring_down)
            assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.reason
            assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS, node.reason
        yield {node.get_name(): used(node) for node in nodes}


@pytest.mark.parametrize("node", NODES)
def test_the_policy_allows_what_the_node_uses_and_nothing_more(service: dict[str, Rights], node: str) -> None:
    more = {"sim": {SHOWN_GOAL}, "signals": SHOWN, "controller": {TRANSFORMS}, "logger": {TRANSFORMS}}
    sometimes = {SIMULATED_TIME, *more.get(node, ())}
    assert allowed(node) - sometimes == service[node]


def test_every_node_has_an_enclave_of_its_own() -> None:
    paths = [enclave.get("path") for enclave in ET.parse(FILE).findall("./enclaves/enclave")]
    assert paths == [f"/mbrl/{node}" for node in (*NODES, "operator")]


def test_only_the_controller_may_command_the_hand() -> None:
    command = ("topics publish", "/hand_controller/commands")
    assert [node for node in (*NODES, "operator") if command in allowed(node)] == ["controller"]


def test_the_operator_asks_for_what_is_offered(service: dict[str, Rights]) -> None:
    offered = {name for node in NODES for what, name in service[node] if what == "services reply"}
    heard = {name for node in NODES for what, name in service[node] if what == "topics subscribe"}
    asked = {name for what, name in allowed("operator") if what == "services request"}
    said = {name for what, name in allowed("operator") if what == "topics publish"}
    assert asked <= offered
    assert said - {"/rosout", "/parameter_events"} <= heard
    assert not any("parameters" in name or "change_state" in name for name in asked)
