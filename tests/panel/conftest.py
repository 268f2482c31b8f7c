# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A real panel beside a real controller and logger, and a headless Chromium that opens it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..browser import FEW_FRAMES
from ..ros.conftest import ros_env, small_hand  # noqa: F401 (fixtures)

if TYPE_CHECKING:
    from ..ros.faults.service import Service

SIZE = {"width": 860, "height": 1000}  # of a window: little between the columns, which is all that is rendered
# Pixels of a picture per pixel of the page: two pages in software else keep each other from answering for minutes.
COARSE = 0.25
RETRAIN = "echo epoch 7 of 7"


@dataclass
class Shown:
    """A panel beside a `Service`, and its address."""

    service: Service
    url: str

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """See `Ros.wait`."""
        return self.service.ros.wait(condition, what, 60.0)

    def wait_for_state(self, page: Any, state: str) -> None:
        """Until the bar of a page says this safety state."""
        self.wait(lambda: page.locator(f'#safety-bar[data-state="{state}"]').count(), f"the bar to say {state}")

    def start_panel(self, **parameters: Any) -> str:
        """Start another panel; its address."""
        ros, service = self.service.ros, self.service
        given = {"contract": str(service.contract_file), "models_dir": str(service.registry.root)}
        process = ros.start("mbrl_controller.panel.node", given | parameters)
        found = ros.wait(lambda: re.search(r"watch at (\S+)", process.output), "the panel", 60.0)
        return str(found[1])


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[[str], Any]]:
    """Opens an address in a browser profile of its own, and waits for the bar."""
    contexts = []

    def open_(url: str) -> Any:
        contexts.append(chromium.new_context(viewport=SIZE, device_scale_factor=COARSE))
        contexts[-1].add_init_script(FEW_FRAMES)
        page = contexts[-1].new_page()
        page.set_default_timeout(180_000)  # a busy machine without a GPU draws slowly
        page.goto(url)
        page.locator("#safety-bar").wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def shown(ros_env: dict[str, str], small_hand: Path, tmp_path_factory: Any) -> Iterator[Shown]:  # noqa: F811
    """A controller that runs, a logger, and a panel for both."""
    pytest.importorskip("rclpy")
    pytest.importorskip("mjviser")
    from ..ros.faults.service import Service

    folder = tmp_path_factory.mktemp("panel")
    with Service.running(ros_env, small_hand, folder) as service:
        service.ros.start(
            "mbrl_controller.nodes.logger",
            {"contract": str(service.contract_file), "log_dir": str(folder / "log"), "autostart": True,
             "retrain_command": RETRAIN},
        )  # fmt: skip
        one = Shown(service, "")
        one.url = one.start_panel()
        yield one


def show_tab(page: Any, label: str) -> None:
    """Click a tab with the mouse until it is shown: it can be dragged, so it hears no click alone, and may move."""
    found = page.get_by_role("tab", name=label, exact=True).first
    for _ in range(20):
        box = found.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(300)
        if found.get_attribute("aria-selected") == "true":
            return
    raise AssertionError(f"the tab {label} cannot be shown")
