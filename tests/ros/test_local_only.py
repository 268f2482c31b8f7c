# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The nodes that a job starts cannot be reached from another machine, whatever the user's environment says."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.stack.processes import free_domain, local_environment

# Looks around until it has met `partner`, or for so many seconds; prints the nodes it saw. It stays until told to go.
NODE = """
import sys, time, rclpy
name, partner, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
rclpy.init()
node, end, seen = rclpy.create_node(name), time.monotonic() + seconds, set()
while time.monotonic() < end and partner not in seen:
    rclpy.spin_once(node, timeout_sec=0.1)
    seen |= {found for found, _ in node.get_node_names_and_namespaces()}
print(*sorted(seen), flush=True)
sys.stdin.read()
"""
PATIENCE_S = 30.0
LONG_S = 6.0  # in which nodes that can reach one another have long met


def outside_address() -> str:
    """Of an interface that other machines reach; a UDP socket that connects sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", NODE, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.ros
@pytest.mark.parametrize("closed", [True, False])
def test_only_what_runs_on_this_machine_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    """The outsider speaks on another interface than loopback and knows the address; without our profile it gets in."""
    address = outside_address()
    if not address or address.startswith("127."):
        pytest.skip("this machine has no interface but loopback")
    loopback = (share_dir() / "config" / "security" / "loopback.xml").read_text()
    (tmp_path / "outside.xml").write_text(loopback.replace("127.0.0.1", address))
    inside = local_environment(free_domain())
    outside = inside | {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "ROS_STATIC_PEERS": address,
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(tmp_path / "outside.xml"),
        "FASTDDS_DEFAULT_PROFILES_FILE": str(tmp_path / "outside.xml"),
    }
    monkeypatch.setenv("ROS_STATIC_PEERS", address)  # what a user may have set does not open the job's nodes
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    if not closed:
        for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
            del inside[name]
    processes = [start(inside, "first", "second", str(PATIENCE_S)), start(inside, "second", "first", str(PATIENCE_S))]
    try:
        for process in processes:
            assert process.stdout is not None
            assert {"first", "second"} <= set(process.stdout.readline().split())
        processes.append(start(outside, "outsider", "first", str(LONG_S if closed else PATIENCE_S)))
        assert processes[-1].stdout is not None
        seen = set(processes[-1].stdout.readline().split())
        assert ("first" in seen) is not closed
        assert "outsider" in seen
    finally:
        for process in processes:
            process.communicate("")
