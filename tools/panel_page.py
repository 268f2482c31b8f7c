# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A simulated hand under its controller, the panel beside them, and a headless Chromium that opens it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from playwright.sync_api import sync_playwright

from mbrl_controller.base.resources import home_dir
from mbrl_controller.stack.launcher import make_config, running_nodes
from mbrl_controller.stack.monitor import StackMonitor
from mbrl_controller.stack.processes import wait_for

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SOFTWARE = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # without a GPU the page needs this
PORT = 8124
TIMEOUT_MS = 180_000  # a page that is drawn by the CPU answers late


@contextmanager
def open_panel(task: str, width: int, height: int, *, gpu: bool = False, **controller: Any) -> Iterator[Any]:
    """The page, with the hand moving. `controller`: its parameters. Raises MbrlError where a node fails."""
    if CHROMIUM is None:
        raise SystemExit("this needs Chromium (apt-get install chromium)")
    config = make_config("panel", task, home_dir() / "panel", controller=controller)
    config = replace(config, panel={"port": PORT})
    with running_nodes(config.parameters()) as group, StackMonitor(config.contract, lambda row: None) as monitor:
        monitor.prepare(group)
        monitor.begin(group)
        log = group.children["panel"].log
        wait_for(lambda: "watch at" in log.read_text(), "the panel does not start", 60.0, group)
        url = re.findall(r"watch at (\S+)", log.read_text())[0]
        with sync_playwright() as running:
            flags = FLAGS if gpu else [*FLAGS, *SOFTWARE]
            browser = running.chromium.launch(executable_path=CHROMIUM, args=flags)
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(TIMEOUT_MS)
            page.goto(url)
            page.locator("#safety-bar").wait_for()
            yield page
            browser.close()
    shutil.rmtree(config.folder, ignore_errors=True)


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


def press(found: Any) -> None:
    """Click what is found, without waiting for frames."""
    found.first.evaluate("element => element.click()")
