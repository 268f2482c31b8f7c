# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The layouts in config/viewers name what is in our logs and on our topics."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("mcap_ros2")

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.nodes.controller_output import TICK_ROW

from ..viewer_names import foxglove_values, messages, plotjuggler_series, split_path
from .conftest import Ros, linear_registry

pytestmark = [pytest.mark.ros, pytest.mark.slow]
VIEWERS = share_dir() / "config" / "viewers"
FOXGLOVE = json.loads((VIEWERS / "foxglove.json").read_text())
PLOTJUGGLER = ET.parse(VIEWERS / "plotjuggler.xml").getroot()
LAYOUT_KINDS = {"Plot": "std_msgs/msg/Float64", "StateTransitions": "std_msgs/msg/Float64"}


@dataclass(frozen=True)
class Session:
    """A session as both programs meet it."""

    logged: list[tuple[str, str, Any]]  # topic, type, message
    live: dict[str, list[str]]  # topic -> types


@pytest.fixture(scope="module")
def session(ros_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A few steps of the claw in lockstep with a planner, all nodes under their own names."""
    folder = tmp_path_factory.mktemp("viewed")
    contract = share_dir() / "config" / "claw_valve.yaml"
    models = linear_registry(load_contract(contract), folder, ("v0001",), turn=0.0, judged=True)
    common = {"contract": str(contract), "autostart": True}
    ros = Ros(ros_env)
    try:
        ros.start("mbrl_controller.nodes.logger", common | {"log_dir": str(folder)})
        ros.start("mbrl_controller.nodes.signals", common)
        ros.start("mbrl_controller.nodes.sim", common | {"lockstep": True})
        seen = ros.diagnostics("logger: logging")
        ros.wait(lambda: seen and seen[-1][2]["silent topics"] == "/controller/command", "the logger to hear")
        controller = {"models_dir": str(models), "lockstep": True, "session": "s", "episode_s": 0.8, "auto_reset": True}
        controller |= {"reset_service": "sim/reset", "planner.num_samples": 16}
        ros.start("mbrl_controller.nodes.controller", common | controller)
        files = folder / "valve" / "s"
        ros.wait(lambda: len(list(files.glob("*.mcap"))) > 6, "logged episodes")
        ros.wait(lambda: ros.node.count_publishers("/controller/markers"), "the node signals")
        live = dict(ros.node.get_topic_names_and_types())
        yield Session(messages(sorted(files.glob("*.mcap"))[-2]), live)
    finally:
        ros.close()


def panels(kind: str) -> list[dict[str, Any]]:
    return [config for name, config in FOXGLOVE["configById"].items() if name.startswith(f"{kind}!")]


def foxglove_paths() -> list[str]:
    return [path["value"] for kind in LAYOUT_KINDS for panel in panels(kind) for path in panel["paths"]]


def curves() -> list[str]:
    return [str(curve.get("name")) for curve in PLOTJUGGLER.iter("curve")]


def test_every_path_of_the_foxglove_layout_gives_numbers_of_a_log(session: Session) -> None:
    assert len(foxglove_paths()) > 10
    for path in foxglove_paths():
        values = foxglove_values(path, session.logged)
        assert values, f"{path}: nothing in the log"
        assert all(isinstance(value, float) for value in values)


def test_every_curve_of_the_plotjuggler_layout_is_a_series_of_a_log(session: Session) -> None:
    series = plotjuggler_series(session.logged)
    assert len(curves()) > 10
    assert not [name for name in curves() if not series.get(name)]


def test_what_is_named_is_what_the_row_says(session: Session) -> None:
    """Each number of ~/tick is under its name, those that are none are nowhere."""
    series = plotjuggler_series(session.logged)
    rows = [message for topic, _, message in session.logged if topic == "/controller/tick"]
    assert rows
    for i, label in enumerate(TICK_ROW):
        of_rows = [row.data[i] for row in rows if row.data[i] == row.data[i]]
        assert series.get(f"/controller/signals/{label}/data", []) == of_rows, label


def test_the_layouts_topics_are_there_live_and_of_the_types_that_their_panels_take(session: Session) -> None:
    for kind, message in LAYOUT_KINDS.items():
        for panel in panels(kind):
            for path in panel["paths"]:
                assert session.live[split_path(path["value"])[0]] == [message]
    for name in curves():
        assert session.live[name.removesuffix("/data")] == ["std_msgs/msg/Float64"]
    for panel in panels("3D"):
        assert {topic: session.live[topic] for topic in panel["topics"]} == {
            "/controller/markers": ["visualization_msgs/msg/MarkerArray"]
        }
    assert [session.live[panel["topicToRender"]] for panel in panels("DiagnosticSummary")] == [
        ["diagnostic_msgs/msg/DiagnosticArray"]
    ]
    assert all(session.live[panel["topicPath"]] == ["std_msgs/msg/String"] for panel in panels("RawMessages"))


def test_the_foxglove_layout_shows_each_panel_once() -> None:
    def leaves(node: Any) -> list[str]:
        return [node] if isinstance(node, str) else leaves(node["first"]) + leaves(node["second"])

    assert sorted(leaves(FOXGLOVE["layout"])) == sorted(FOXGLOVE["configById"])


def test_the_plotjuggler_layout_divides_each_tab_among_its_plots() -> None:
    splitters = list(PLOTJUGGLER.iter("DockSplitter"))
    assert splitters
    for splitter in splitters:
        sizes = [float(size) for size in str(splitter.get("sizes")).split(";")]
        assert len(sizes) == int(str(splitter.get("count"))) == len(splitter.findall("DockArea/plot"))
        assert sum(sizes) == pytest.approx(1, abs=0.01)
