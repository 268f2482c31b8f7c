# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The replay's page, asked as a browser asks it: over its websocket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

viser = pytest.importorskip("viser")
pytest.importorskip("mjviser")

import msgspec.msgpack
from websockets.sync.client import connect

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import OTHERS, EpisodeInfo
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.trajectory_writer import START_NS
from mbrl_controller.episodes.writer import EpisodeWriter
from mbrl_controller.replay.outlook import Outlooks
from mbrl_controller.replay.playlist import find_episodes
from mbrl_controller.replay.view import ReplayView

from ..ros.conftest import linear_registry
from .conftest import PERIOD, STEPS

TIMEOUT_S = 60.0  # generous, since the machine may be busy


def wait(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


class Browser:
    """What a page sends when a person uses it."""

    def __init__(self, view: ReplayView) -> None:
        address = view.url.replace("http", "ws")
        self._socket = connect(address, subprotocols=[f"viser-v{viser.__version__}"], max_size=None)
        sizes = {"image_height": 600, "image_width": 800, "fov": 1.0, "near": 0.01, "far": 100.0}
        pose = {"wxyz": (1.0, 0.0, 0.0, 0.0), "position": (0.0, 0.0, 1.0), "look_at": (0.0, 0.0, 0.0)}
        self._send(type="ViewerCameraMessage", up_direction=(0.0, 0.0, 1.0), **sizes, **pose)
        wait(view._server.get_clients, "the page to be known")

    def use(self, handle: Any, value: Any) -> None:
        """Change a menu or slider, or press a button of a group."""
        self._send(type="GuiUpdateMessage", uuid=handle._impl.uuid, updates={"value": value})

    def press(self, button: Any) -> None:
        """Press a button."""
        self.use(button, True)

    def close(self) -> None:
        self._socket.close()

    def _send(self, **message: Any) -> None:
        self._socket.send(msgspec.msgpack.encode(message))


@pytest.fixture
def shown(make, claw, tmp_path) -> Iterator[tuple[ReplayView, Browser, list[str]]]:
    """A session of two good episodes and one that breaks when it is opened."""
    stamps = START_NS / 1e9 + PERIOD * np.arange(STEPS)
    disagreement = np.where(np.arange(STEPS) == 7, 0.9, 0.1)
    ticks = {"stamp": stamps, "disagreement": disagreement, "reward": np.arange(STEPS, dtype=float)}
    made = make(ticks=ticks, version="v0001")
    make(reason="drop")
    third = made.path.with_name("episode_0002.mcap")
    EpisodeWriter(third, claw, EpisodeInfo("s", 2)).close()  # metadata, and nothing to show
    said: list[str] = []
    models = linear_registry(claw, tmp_path, ("v0001",), turn=0.1)
    view = ReplayView(find_episodes("valve/s", tmp_path), Outlooks(models), port=0, on_note=said.append)
    browser = Browser(view)
    yield view, browser, said
    browser.close()
    view.close()


def test_a_person_goes_along_the_time_line(shown) -> None:
    view, browser, _ = shown
    controls, scene = view.controls, view._stage._scene
    browser.use(controls.time, 0.5)
    wait(lambda: view.player.time == 0.5, "the slider")
    wait(lambda: "<td>0.50 s" in controls.now.content, "the numbers of that time")
    valve = view.recording.contract.task.state.index("valve.position")
    address = scene.picture.pose.loose_addresses[0]
    wait(lambda: scene._qpos[address] == view.recording.state_at(0.5)[valve], "the hand as it was then")
    browser.use(controls.steps, "+1")
    wait(lambda: view.player.time == pytest.approx(0.6), "a step")
    browser.use(controls.jump, "previous")
    wait(lambda: view.player.time == 0.0, "the begin")
    browser.use(controls.kind, "disagreement")
    wait(lambda: controls.kind.value == "disagreement", "the menu")
    browser.use(controls.jump, "next")
    wait(lambda: view.player.time == pytest.approx(0.7), "the tick at which the members disagree most")
    wait(lambda: controls.time.value == pytest.approx(0.7), "the slider to follow")
    browser.use(controls.moment, str(view.moments[-1]))
    wait(lambda: view.player.time == view.recording.duration, "the end, from the list")


def test_it_plays_at_the_speed_that_was_chosen_and_stops_at_the_end(shown) -> None:
    view, browser, _ = shown
    browser.use(view.controls.speed, "4")
    wait(lambda: view.player.speed == 4.0, "the speed")
    browser.press(view.controls.play)
    wait(lambda: view.controls.play.label == "Pause" or view.player.time > 0, "it to play")
    wait(lambda: view.player.time == view.recording.duration and not view.player.playing, "the end")
    wait(lambda: view.controls.play.label == "Play", "the button to say so")


def test_a_plan_is_drawn_with_its_ghost_expectation_and_outcome_or_not_at_all(shown) -> None:
    view, browser, _ = shown
    stage = view._stage
    browser.use(view.controls.time, 0.5)
    wait(lambda: "from 0.50 s" in view.controls.now.content, "the plan of that time")
    assert "expected to seen, valve" in view.controls.now.content
    assert stage._scene._ghost.shown
    way = np.array(stage._way._handles[0].points)
    browser.use(view.controls.keep, True)
    wait(lambda: view._kept == 5, "this plan to be kept")
    browser.use(view.controls.time, 0.7)
    wait(lambda: "<td>0.70 s" in view.controls.now.content, "a later time")
    assert "from 0.50 s" in view.controls.now.content
    np.testing.assert_array_equal(np.array(stage._way._handles[0].points), way)
    browser.use(view.controls.plans, False)
    wait(lambda: not stage._way._handles and not stage._scene._ghost.shown, "no plan")


def test_another_episode_of_the_session_is_opened_and_a_broken_one_is_said(shown) -> None:
    view, browser, said = shown
    browser.use(view.controls.episode, "episode_0001.mcap")
    wait(lambda: view.recording.info.episode == 1, "the second episode")
    wait(lambda: "drop" in view.controls.about.content, "what is told of it")
    assert view.player.time == 0.0
    browser.use(view.controls.episode, "episode_0002.mcap")
    wait(lambda: said and "nothing to show" in said[0], "a word on the broken one")
    wait(lambda: view.controls.episode.value == "episode_0001.mcap", "the menu to go back")
    assert "nothing to show" in view.controls.about.content
    assert view.recording.info.episode == 1


def test_no_page_can_open_the_replay_to_the_internet(shown) -> None:
    view, browser, _ = shown
    asked = []
    view._server.request_share_url = lambda *_, **__: asked.append(1)
    browser._send(type="ShareUrlRequest")
    browser.use(view.controls.time, 0.5)  # comes after it
    wait(lambda: view.player.time == 0.5, "the slider")
    assert asked == []


def test_reading_changes_no_file(shown, tmp_path) -> None:
    view, browser, _ = shown
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.mcap*")}
    browser.use(view.controls.episode, "episode_0001.mcap")
    wait(lambda: view.recording.info.episode == 1, "the second episode")
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.mcap*")} == before


def test_a_real_hands_log_without_a_world_shows_its_objects_as_frames(tmp_path) -> None:
    text = (share_dir() / "config" / "adroit_baoding.yaml").read_text().replace("robot: adroit", "robot: unheard_of")
    (tmp_path / "contract.yaml").write_text(text)
    contract = load_contract(tmp_path / "contract.yaml")
    (to,) = contract.destinations
    info = EpisodeInfo("s", 0, source="logger", commanded_by=OTHERS, topics={to.role: "/commands"})
    path = tmp_path / "episode_0000.mcap"
    with EpisodeWriter(path, contract, info) as writer:
        for k in range(5):
            stamp = START_NS + k * 100_000_000
            for source in contract.sources:
                values = np.full(len(source.entries()), 0.01 * (k + 1))
                writer.write(writer.info.topics[source.key], source_message(source, values, stamp), stamp)
            writer.write("/commands", ros_messages.multi_array(contract.action.neutral), stamp)
    view = ReplayView(find_episodes(str(path), tmp_path), Outlooks(tmp_path), port=0)
    try:
        wait(lambda: len(view._stage._scene._objects.handles) >= 2, "the balls")
        ball = view._stage._scene._objects.handles[0]
        np.testing.assert_allclose(ball.position, np.full(3, 0.01), atol=1e-6)
        assert "others" in view.controls.about.content
    finally:
        view.close()


def test_no_episode_that_can_be_shown_is_an_error(make, claw, tmp_path) -> None:
    folder = make().path.parent
    for file in folder.glob("*.mcap"):
        file.unlink()
    for number in range(2):
        EpisodeWriter(folder / f"episode_{number:04d}.mcap", claw, EpisodeInfo("s", number)).close()
    with pytest.raises(MbrlError, match="none of these episodes"):
        ReplayView(find_episodes("valve/s", tmp_path), Outlooks(tmp_path), port=0)
